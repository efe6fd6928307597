"""
tritonclient, over HTTP and gRPC, synchronous and asynchronous: each call of each client against both services.
"""

import asyncio
import queue
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from conformance import MODEL, SECRET, SHAPES_AND_OUTPUTS, TEXTS, array, check_envelope, check_metadata, check_outputs
from processes import Service
from triton_clients import MODULES, Triton

CALLS = {"close", "infer", "is_server_live", "is_server_ready", "is_model_ready", "get_server_metadata"}
CALLS |= {"get_model_metadata", "plugin", "register_plugin", "unregister_plugin"}
OWN_CALLS = {
    "http": {"async_infer", "generate_request_body", "parse_response_body"},
    "http.aio": {"generate_request_body", "parse_response_body"},
    "grpc": {"async_infer", "start_stream", "async_stream_infer", "stop_stream"},
    "grpc.aio": {"stream_infer"},
}
# of Triton's own extensions, which these services have not
FOREIGN: dict[str, tuple[Any, ...]] = {
    "get_model_config": (MODEL,),
    "get_model_repository_index": (),
    "load_model": (MODEL,),
    "unload_model": (MODEL,),
    "get_inference_statistics": (MODEL,),
    "get_trace_settings": (MODEL,),
    "update_trace_settings": (MODEL,),
    "get_log_settings": (),
    "update_log_settings": ({},),
    "get_system_shared_memory_status": (),
    "register_system_shared_memory": ("region", "/region", 8),
    "unregister_system_shared_memory": ("region",),
    "get_cuda_shared_memory_status": (),
    "register_cuda_shared_memory": ("region", b"aGFuZGxl", 0, 8),
    "unregister_cuda_shared_memory": ("region",),
}
NOT_FOUND = ("404", "StatusCode.NOT_FOUND")
REFUSED = ("404", "405", "403", "StatusCode.UNIMPLEMENTED", "StatusCode.PERMISSION_DENIED")
INVALID = ("400", "StatusCode.INVALID_ARGUMENT")


@pytest.fixture(params=MODULES)
def triton(request: pytest.FixtureRequest, service: Service) -> Iterator[Triton]:
    """
    Each client in turn, connected to each service in turn.
    """
    with Triton(request.param, service) as triton:
        yield triton


@pytest.fixture
def version(service: Service) -> str:
    """
    The version that the model has now.
    """
    versions = httpx.get(f"{service.url}/v2/models/{MODEL}").json()["versions"]
    return str(versions[0])


def parameters_of(response: Any) -> dict[str, Any]:
    """
    An answer's parameters, whose values are messages over gRPC.
    """
    parameters = response["parameters"] if isinstance(response, dict) else response.parameters
    return {name: getattr(value, "string_param", value) for name, value in parameters.items()}


def field(response: Any, name: str) -> Any:
    """
    A field of an answer: of JSON over HTTP, of a message over gRPC.
    """
    return response[name] if isinstance(response, dict) else getattr(response, name)


def arrays(result: Any) -> dict[str, Any]:
    """
    An answer's outputs, in their order.
    """
    names = [field(output, "name") for output in field(result.get_response(), "outputs")]
    return {name: result.as_numpy(name) for name in names}


def error_of(triton: Triton, call: str, *args: Any, **options: Any) -> InferenceServerException:
    """
    The error that a call ends with.
    """
    with pytest.raises(InferenceServerException) as caught:
        triton(call, *args, **options)
    return caught.value


@pytest.mark.parametrize("name", MODULES)
def test_every_call_of_the_client_is_tried_here(name: str) -> None:
    """
    A client has no call that this module does not know.
    """
    public = {call for call in dir(MODULES[name].InferenceServerClient) if not call.startswith("_")}
    assert public == CALLS | OWN_CALLS[name] | set(FOREIGN)


def test_health_and_metadata(triton: Triton, version: str) -> None:
    """
    The server is live and ready, so is the model and its version, and their metadata is the contract's.
    """
    assert triton("is_server_live")
    assert triton("is_server_ready")
    for asked in ("", version):
        assert triton("is_model_ready", MODEL, asked)
        model = triton.as_dict("get_model_metadata", MODEL, asked)
        check_metadata(triton.as_dict("get_server_metadata"), model, version)


@pytest.mark.parametrize(("shape", "wanted"), SHAPES_AND_OUTPUTS)
def test_infer(triton: Triton, version: str, shape: list[int], wanted: list[str] | None) -> None:
    """
    Texts of any lawful shape get the outputs that are requested, with the request's id and the version asked for.
    """
    tensor, outputs = triton.tensor(array(TEXTS, shape)), triton.outputs(wanted)
    result = triton("infer", MODEL, [tensor], outputs=outputs, request_id="7", model_version=version)
    response = result.get_response()
    check_outputs(arrays(result), wanted)
    check_envelope(field(response, "model_name"), field(response, "model_version"), parameters_of(response))
    assert (field(response, "id"), field(response, "model_version")) == ("7", version)


def test_no_texts(triton: Triton) -> None:
    """
    No texts get no answers, of shape [0, L] and [0].
    """
    result = arrays(triton("infer", MODEL, [triton.tensor(array([]))]))
    assert {name: output.shape for name, output in result.items()} == {"scores": (0, 2), "label": (0,)}


@pytest.mark.parametrize("name", ["http", "http.aio"])
@pytest.mark.parametrize("binary_input", [False, True])
@pytest.mark.parametrize("binary_outputs", [None, (False, False), (True, True), (False, True)])
def test_json_and_binary(
    service: Service, name: str, *, binary_input: bool, binary_outputs: tuple[bool, bool] | None
) -> None:
    """
    Input and outputs are JSON or binary over HTTP, each by itself, and say the same.
    """
    with Triton(name, service) as triton:
        outputs = binary_outputs and [
            triton.module.InferRequestedOutput(output, binary_data=binary)
            for output, binary in zip(("scores", "label"), binary_outputs, strict=True)
        ]
        result = triton("infer", MODEL, [triton.tensor(array(TEXTS), binary_data=binary_input)], outputs=outputs)
    check_outputs(arrays(result))
    sent = ["data" not in output for output in result.get_response()["outputs"]]
    assert sent == list(binary_outputs or (True, True))


def test_gzip(triton: Triton) -> None:
    """
    A request in gzip is answered as one without.
    """
    http = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
    options = {"compression_algorithm": "gzip"} if triton.is_grpc else http
    check_outputs(arrays(triton("infer", MODEL, [triton.tensor(array(TEXTS))], **options)))


def test_deflate(triton: Triton) -> None:
    """
    A request in deflate is answered over gRPC, and refused over HTTP in words that name gzip.
    """
    tensors = [triton.tensor(array(TEXTS))]
    if triton.is_grpc:
        check_outputs(arrays(triton("infer", MODEL, tensors, compression_algorithm="deflate")))
    else:
        error = error_of(triton, "infer", MODEL, tensors, request_compression_algorithm="deflate")
        assert (error.status(), "gzip" in error.message()) == ("400", True)


def test_unknown_model_and_version(triton: Triton) -> None:
    """
    A model or a version that there is not is not found, or not ready where the client asks for that over HTTP.
    """
    for model, version in (("other", ""), (MODEL, "other")):
        tensors = [triton.tensor(array(TEXTS))]
        errors = [error_of(triton, "infer", model, tensors, model_version=version)]
        errors.append(error_of(triton, "get_model_metadata", model, version))
        if triton.is_grpc:
            errors.append(error_of(triton, "is_model_ready", model, version))
        else:
            assert not triton("is_model_ready", model, version)
        assert {error.status() for error in errors} <= set(NOT_FOUND)


def test_wrong_requests(triton: Triton) -> None:
    """
    A wrong request is refused in words that do not repeat it, and the next one on the connection is answered.
    """
    texts = triton.tensor(array(TEXTS))
    wrong: list[dict[str, Any]] = [
        {"inputs": [texts, texts]},
        {"inputs": [triton.tensor(array(TEXTS), name=SECRET)]},
        {"inputs": [texts, triton.tensor(array([SECRET]), name="other")]},
        {"inputs": [triton.tensor(np.ones(2, np.float32), datatype="FP32")]},
        {"inputs": [triton.tensor(array([*TEXTS, *TEXTS], [2, 2]))]},
        {"inputs": [triton.tensor(array(TEXTS, [2, 1, 1]))]},
        {"inputs": [triton.tensor(array([SECRET.encode() + b"\xff"]))]},
        {"inputs": [triton.tensor(array([SECRET.encode() + b"\xed\xa0\x80"]))]},
        {"inputs": [texts], "outputs": triton.outputs([SECRET])},
        {"inputs": [texts], "outputs": triton.outputs(["label", "label"])},
    ]
    for request in wrong:
        error = error_of(triton, "infer", MODEL, **request)
        assert error.status() in INVALID
        assert SECRET not in str(error)
        assert triton("is_server_live")


def test_foreign_extensions(triton: Triton) -> None:
    """
    A call of an extension that there is not is refused, and the connection lives on.
    """
    for call, args in FOREIGN.items():
        assert error_of(triton, call, *args).status() in REFUSED
    assert triton("is_server_live")


def test_http_async_infer(service: Service) -> None:
    """
    The synchronous HTTP client's call in the background is answered.
    """
    with Triton("http", service) as triton:
        check_outputs(arrays(triton("async_infer", MODEL, [triton.tensor(array(TEXTS))]).get_result()))


def test_http_bodies(service: Service) -> None:
    """
    A body that the client made is answered to whoever sends it, with one that the client can read.
    """
    with Triton("http", service) as triton:
        body, length = triton("generate_request_body", [triton.tensor(array(TEXTS))])
        url, headers = f"{service.url}/v2/models/{MODEL}/infer", {"inference-header-content-length": str(length)}
        answer = httpx.post(url, content=bytes(body), headers=headers)
        length = int(answer.headers["inference-header-content-length"])
        check_outputs(arrays(triton("parse_response_body", answer.content, header_length=length)))


def test_grpc_async_infer(service: Service) -> None:
    """
    The synchronous gRPC client's call in the background is answered.
    """
    answers: queue.Queue[Any] = queue.Queue()
    with Triton("grpc", service) as triton:
        callback = lambda result, error: answers.put((result, error))  # noqa: E731  # as the client wants it
        triton("async_infer", MODEL, [triton.tensor(array(TEXTS))], callback)
        result, error = answers.get(timeout=60)
    assert error is None
    check_outputs(arrays(result))


def test_grpc_streams(service: Service) -> None:
    """
    A stream of requests, which is an extension of Triton's, is refused.
    """
    answers: queue.Queue[Any] = queue.Queue()
    with Triton("grpc", service) as triton:
        triton("start_stream", lambda result, error: answers.put(error))
        assert answers.get(timeout=60).status() == "StatusCode.UNIMPLEMENTED"
        error_of(triton, "async_stream_infer", MODEL, [triton.tensor(array(TEXTS))])
        triton("stop_stream")


def test_grpc_aio_streams(service: Service) -> None:
    """
    So is that of the asynchronous client.
    """
    with Triton("grpc.aio", service) as triton:
        request = {"model_name": MODEL, "inputs": [triton.tensor(array(TEXTS))]}

        async def requests() -> Any:
            # grpcio's own error would win over the server's, now and then, were it sent on a stream that has ended
            await asyncio.Event().wait()
            yield request

        async def stream() -> None:
            async for _ in triton.client.stream_infer(requests()):
                pass

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            triton.wait_for(stream())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", ["grpc", "grpc.aio"])
def test_large_messages(predictor_service: Service, name: str) -> None:
    """
    A request of 12 MiB and an answer of as much pass the predictor's gRPC.
    """
    large = "7" * 12 * 1024 * 1024
    with Triton(name, predictor_service) as triton:
        result = triton("infer", MODEL, [triton.tensor(array(TEXTS))], request_id=large)
    check_outputs(arrays(result))
    assert result.get_response().id == large


def test_too_large_message(transformer_service: Service) -> None:
    """
    A message beyond the limit is refused over gRPC, in full and compressed, and the next call is answered.
    """
    with Triton("grpc", transformer_service) as triton:
        for compression in (None, "gzip"):
            large, tensors = "7" * 5 * 1024 * 1024, [triton.tensor(array(TEXTS))]
            error = error_of(triton, "infer", MODEL, tensors, request_id=large, compression_algorithm=compression)
            assert error.status() == "StatusCode.RESOURCE_EXHAUSTED"
        check_outputs(arrays(triton("infer", MODEL, tensors)))
