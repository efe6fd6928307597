"""
KServe's own clients, v1 and v2 over REST and gRPC: each call of each client against both services.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, InferResponse
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from conformance import LABELS, MODEL, SECRET, SHAPES_AND_OUTPUTS, TEXTS, array, check_envelope, check_outputs
from processes import Service

FORMS = ["list", "array", "binary"]
each_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
async def grpc_client(service: Service) -> AsyncIterator[InferenceGRPCClient]:
    """
    The gRPC client, connected to each service in turn.
    """
    async with InferenceGRPCClient(f"127.0.0.1:{service.grpc_port}") as client:
        yield client


@pytest.fixture
async def v1() -> AsyncIterator[InferenceRESTClient]:
    """
    The REST client, speaking v1.
    """
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        yield client


@pytest.fixture
async def v2() -> AsyncIterator[InferenceRESTClient]:
    """
    The REST client, speaking the Open Inference Protocol.
    """
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        yield client


def question(form: str, texts: list[str], shape: list[int] | None = None, **fields: Any) -> InferRequest:
    """
    A request in one of the forms that an input's data may have.
    """
    tensor = InferInput("text", shape or [len(texts)], "BYTES", data=list(texts))
    if form != "list":
        tensor.set_data_from_numpy(array(texts, shape), binary_data=form == "binary")
    return InferRequest(MODEL, [tensor], request_id="7", **fields)


def requested(names: list[str] | None) -> list[RequestedOutput] | None:
    """
    Requested outputs of the client's own type.
    """
    return names and [RequestedOutput(name) for name in names]


def arrays(response: InferResponse) -> dict[str, Any]:
    """
    An answer's outputs, in their order.
    """
    return {output.name: output.as_numpy() for output in response.outputs}


@each_form
@pytest.mark.parametrize(("shape", "wanted"), SHAPES_AND_OUTPUTS)
async def test_grpc_infer(
    grpc_client: InferenceGRPCClient, form: str, shape: list[int], wanted: list[str] | None
) -> None:
    """
    Texts in any form and lawful shape get the outputs that are requested, with the request's id and a version.
    """
    response = await grpc_client.infer(question(form, TEXTS, shape, request_outputs=requested(wanted)))
    check_outputs(arrays(response), wanted)
    parameters = {name: value.string_param for name, value in response.parameters.items()}
    check_envelope(response.model_name, response.model_version, parameters)
    assert response.id == "7"


@each_form
async def test_grpc_no_texts(grpc_client: InferenceGRPCClient, form: str) -> None:
    """
    No texts get no answers, of shape [0, L] and [0].
    """
    outputs = arrays(await grpc_client.infer(question(form, [])))
    assert {name: output.shape for name, output in outputs.items()} == {"scores": (0, 2), "label": (0,)}


async def test_grpc_health(grpc_client: InferenceGRPCClient) -> None:
    """
    The server is live and ready, and so is the model; another model is not found.
    """
    assert await grpc_client.is_server_live()
    assert await grpc_client.is_server_ready()
    assert await grpc_client.is_model_ready(MODEL)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_client.is_model_ready("other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@each_form
async def test_grpc_wrong_request(grpc_client: InferenceGRPCClient, form: str) -> None:
    """
    A wrong request is refused in words that do not repeat it, and the next one is answered.
    """
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_client.infer(question(form, [SECRET], request_outputs=requested([SECRET])))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert SECRET not in str(caught.value.details())
    check_outputs(arrays(await grpc_client.infer(question(form, TEXTS))))


@each_form
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("shape", "wanted"), SHAPES_AND_OUTPUTS)
async def test_rest_infer(  # noqa: PLR0913, PLR0917  # what may be combined
    service: Service, v2: InferenceRESTClient, form: str, binary: bool, shape: list[int], wanted: list[str] | None
) -> None:
    """
    Texts in any form and lawful shape get the outputs that are requested, in JSON or in binary, with the request's id.
    """
    headers: dict[str, str] = {}
    asked = question(
        form,
        TEXTS,
        shape,
        request_outputs=requested(wanted),
        parameters={"binary_data_output": True} if binary else None,
    )
    response = await v2.infer(service.url, asked, model_name=MODEL, response_headers=headers)
    outputs = arrays(response)
    check_outputs(outputs, wanted)
    # the client reads no version
    check_envelope(response.model_name, headers["x-model-revision"], response.parameters)
    assert response.id == "7"
    assert ("inference-header-content-length" in headers) == binary


@each_form
async def test_rest_no_texts(service: Service, v2: InferenceRESTClient, form: str) -> None:
    """
    No texts get no answers, of shape [0, L] and [0].
    """
    response = await v2.infer(service.url, question(form, []), model_name=MODEL)
    assert {output.name: (output.shape, output.data) for output in response.outputs} == {
        "scores": ([0, 2], []),
        "label": ([0], []),
    }


async def test_rest_health(service: Service, v1: InferenceRESTClient, v2: InferenceRESTClient) -> None:
    """
    The server is live and ready, and so is the model, in either protocol; another model is not.
    """
    assert await v1.is_server_live(service.url)
    assert await v2.is_server_live(service.url)
    assert await v2.is_server_ready(service.url)
    assert await v1.is_model_ready(service.url, MODEL)
    assert await v2.is_model_ready(service.url, MODEL)
    assert not await v2.is_model_ready(service.url, "other")
    with pytest.raises(httpx.HTTPStatusError):
        await v1.is_model_ready(service.url, "other")


async def test_rest_wrong_request(service: Service, v2: InferenceRESTClient) -> None:
    """
    A wrong request is refused with a reason that does not repeat it, and the next one is answered.
    """
    with pytest.raises(httpx.HTTPStatusError, match=r"the outputs are .*400") as caught:
        await v2.infer(service.url, question("list", TEXTS, request_outputs=requested([SECRET])), model_name=MODEL)
    assert SECRET not in str(caught.value)
    check_outputs(arrays(await v2.infer(service.url, question("list", TEXTS), model_name=MODEL)))


async def test_v1_predict(service: Service, v1: InferenceRESTClient) -> None:
    """
    v1 answers instances with every label of each, best first; there is nothing to explain.
    """
    answer: Any = await v1.infer(service.url, {"instances": TEXTS}, model_name=MODEL)
    assert [pairs[0]["label"] for pairs in answer["predictions"]] == LABELS
    assert np.allclose([sum(pair["score"] for pair in pairs) for pairs in answer["predictions"]], 1)
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await v1.explain(service.url, MODEL, {"instances": TEXTS})
