from typing import Any

import pytest
from kserve import InferResponse
from kserve.errors import ModelNotFound
from kserve.model_repository import ModelRepository
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.errors import Forbidden, InvalidRequest
from serving.servicer import InferenceServicer

SECRET = "my secret"
TENSOR: dict[str, Any] = {"name": "text", "shape": [2], "datatype": "BYTES"}
CONTENTS = TENSOR | {"contents": {"bytes_contents": [b"a", b"b"]}}
RAW = b"\x01\x00\x00\x00a\x01\x00\x00\x00b"


class Call:
    """
    A call's context: its metadata and what goes back with its answer.
    """

    def __init__(self, **metadata: str) -> None:
        self.sent = tuple(metadata.items())
        self.trailing: tuple[Any, ...] = (("x-request-id", "abc-1"),)

    def invocation_metadata(self) -> Any:
        return self.sent

    def trailing_metadata(self) -> Any:
        return self.trailing

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.trailing = metadata


@pytest.fixture
def service(dataplane: HonestDataPlane) -> InferenceServicer:
    """
    The gRPC service of a process with one model.
    """
    return InferenceServicer(dataplane, ClosedRepository(ModelRepository()))


async def infer(service: InferenceServicer, **request: Any) -> pb.ModelInferResponse:
    """
    One inference of the model `m`.
    """
    context: Any = Call()
    return await service.ModelInfer(pb.ModelInferRequest(**{"model_name": "m", **request}), context)


@pytest.mark.parametrize(
    "request_", [{"inputs": [CONTENTS]}, {"inputs": [TENSOR], "raw_input_contents": [RAW]}], ids=["contents", "raw"]
)
@pytest.mark.parametrize("wanted", [[], ["label"], ["label", "scores"]])
async def test_infer(service: InferenceServicer, request_: dict[str, Any], wanted: list[str]) -> None:
    """
    The requested outputs come in their order and in the form of the question, with the request's id and the version.
    """
    outputs = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in wanted]
    message = await infer(service, id="42", model_version="r1", outputs=outputs, **request_)
    raw = "raw_input_contents" in request_
    assert len(message.raw_output_contents) == len(message.outputs) * raw
    assert [output.HasField("contents") for output in message.outputs] == [not raw] * len(message.outputs)
    assert [output.name for output in message.outputs] == (wanted or ["scores", "label"])
    assert (message.id, message.model_name, message.model_version) == ("42", "m", "r1")
    outputs = {output.name: output.as_numpy().tolist() for output in InferResponse.from_grpc(message).outputs}
    assert outputs["label"] == [b"A", b"A"]
    assert outputs.get("scores", [[1, 0], [1, 0]]) == [[1, 0], [1, 0]]


async def test_headers(service: InferenceServicer) -> None:
    """
    What the hooks answer as headers goes back as trailing metadata, beside what is there already.
    """
    context: Any = Call()
    await service.ModelInfer(pb.ModelInferRequest(model_name="m", inputs=[CONTENTS]), context)
    assert [name for name, _ in context.trailing] == ["x-request-id", "server-timing"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"inputs": [CONTENTS] * 2},
        {"inputs": [CONTENTS] * 17},
        {"inputs": [CONTENTS | {"name": SECRET}]},
        {"inputs": [CONTENTS | {"datatype": SECRET}]},
        {"inputs": [CONTENTS | {"shape": []}]},
        {"inputs": [CONTENTS | {"shape": [-2]}]},
        {"inputs": [CONTENTS | {"shape": [3]}]},
        {"inputs": [CONTENTS | {"shape": [2**62, 4]}]},
        {"inputs": [CONTENTS | {"contents": {"bytes_contents": [b"a", b"my secret\xff"]}}]},
        {"inputs": [CONTENTS | {"contents": {"bytes_contents": [b"a", b"my secret\xed\xa0\x80"]}}]},
        {"inputs": [CONTENTS | {"contents": {"fp32_contents": [1, 2]}}]},
        {"inputs": [TENSOR], "raw_input_contents": [RAW + b"\x00"]},
        {"inputs": [TENSOR], "raw_input_contents": [RAW + RAW]},
        {"inputs": [TENSOR], "raw_input_contents": [b"\xff\xff\xff\xffmy secret"]},
        {"inputs": [TENSOR], "raw_input_contents": [RAW, RAW]},
        {"inputs": [CONTENTS | {"name": SECRET}], "raw_input_contents": [RAW]},
        {"inputs": [CONTENTS], "outputs": [pb.ModelInferRequest.InferRequestedOutputTensor(name=SECRET)]},
        {"inputs": [CONTENTS], "outputs": [pb.ModelInferRequest.InferRequestedOutputTensor(name="label")] * 17},
    ],
)
async def test_wrong(service: InferenceServicer, wrong: dict[str, Any]) -> None:
    """
    A wrong request is refused in words that repeat nothing that was sent.
    """
    with pytest.raises(InvalidRequest) as caught:
        await infer(service, **wrong)
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(("name", "version"), [("x", ""), ("m", "r2")])
async def test_unknown(service: InferenceServicer, name: str, version: str) -> None:
    """
    An unknown model or version is not found, whatever is asked of it.
    """
    context: Any = Call()
    for asked in (
        service.ModelReady(pb.ModelReadyRequest(name=name, version=version), context),
        service.ModelMetadata(pb.ModelMetadataRequest(name=name, version=version), context),
        service.ModelInfer(pb.ModelInferRequest(model_name=name, model_version=version), context),
    ):
        with pytest.raises(ModelNotFound):
            await asked


@pytest.mark.parametrize("version", ["", "r1"])
async def test_metadata(service: InferenceServicer, version: str) -> None:
    """
    A model's metadata has its versions and tensors, the server's its extensions.
    """
    context: Any = Call()
    model = await service.ModelMetadata(pb.ModelMetadataRequest(name="m", version=version), context)
    assert (model.name, list(model.versions), model.inputs[0].name) == ("m", ["r1"], "text")
    server = await service.ServerMetadata(pb.ServerMetadataRequest(), context)
    assert list(server.extensions) == ["binary_tensor_data"]


@pytest.mark.parametrize("draining", [False, True])
async def test_readiness(service: InferenceServicer, drain: Drain, draining: bool) -> None:
    """
    While draining the process is live, neither it nor its model is ready, and requests are still answered.
    """
    context: Any = Call()
    drain.draining = draining
    assert (await service.ServerLive(pb.ServerLiveRequest(), context)).live
    assert (await service.ServerReady(pb.ServerReadyRequest(), context)).ready != draining
    assert (await service.ModelReady(pb.ModelReadyRequest(name="m", version="r1"), context)).ready != draining
    assert (await infer(service, inputs=[CONTENTS])).outputs


async def test_closed_repository(service: InferenceServicer) -> None:
    """
    No client loads or unloads a model.
    """
    context: Any = Call()
    for change in (
        service.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="m"), context),
        service.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="m"), context),
    ):
        with pytest.raises(Forbidden):
            await change
