"""
The Open Inference Protocol by hand, over gRPC: plain stubs, as any language has them.
"""

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from kserve import InferResponse
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from conformance import MODEL, SECRET, SHAPES_AND_OUTPUTS, TEXTS, check_envelope, check_metadata, check_outputs, raw
from processes import Service

TENSOR: dict[str, Any] = {"name": "text", "shape": [2], "datatype": "BYTES"}
ENCODED = [text.encode() for text in TEXTS]
CONTENTS = TENSOR | {"contents": {"bytes_contents": ENCODED}}
NO_CACHE = (("cache-control", "no-cache"),)
MIB = 1024 * 1024


@pytest.fixture
def channel(service: Service) -> Iterator[grpc.Channel]:
    """
    A channel to each service in turn.
    """
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> GRPCInferenceServiceStub:
    """
    The protocol's calls.
    """
    return GRPCInferenceServiceStub(channel)


def requested(*names: str) -> list[pb.ModelInferRequest.InferRequestedOutputTensor]:
    """
    Requested outputs.
    """
    return [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in names]


def question(*, is_raw: bool = False, tensor: dict[str, Any] | None = None, **fields: Any) -> pb.ModelInferRequest:
    """
    A request in either form that gRPC has for data.
    """
    if is_raw:
        fields = {"inputs": [TENSOR | (tensor or {})], "raw_input_contents": [raw(TEXTS)], **fields}
    return pb.ModelInferRequest(**{"model_name": MODEL, "inputs": [CONTENTS | (tensor or {})], **fields})


def check_answer(answer: pb.ModelInferResponse, wanted: list[str] | None = None) -> None:
    """
    Hold an answer to the question, whatever its form.
    """
    check_outputs({output.name: output.as_numpy() for output in InferResponse.from_grpc(answer).outputs}, wanted)


def refusal_of(call: Any, request: Any) -> Any:
    """
    The error that a call ends with.
    """
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value


def error_type(refusal: Any) -> Any:
    """
    The word for the error, in the trailing metadata.
    """
    return dict(refusal.trailing_metadata()).get("error-type")


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize(("shape", "wanted"), SHAPES_AND_OUTPUTS)
def test_answer_has_the_form_of_the_question(
    stub: GRPCInferenceServiceStub, shape: list[int], wanted: list[str] | None, *, is_raw: bool
) -> None:
    """
    Contents are answered with contents and raw with raw: the requested outputs, the request's id, a version.
    """
    asked = question(is_raw=is_raw, tensor={"shape": shape}, id="7", outputs=requested(*wanted or ()))
    answer = stub.ModelInfer(asked)
    check_answer(answer, wanted)
    check_envelope(answer.model_name, answer.model_version, {k: v.string_param for k, v in answer.parameters.items()})
    assert answer.id == "7"
    assert len(answer.raw_output_contents) == is_raw * len(answer.outputs)
    assert [output.HasField("contents") for output in answer.outputs] == [not is_raw] * len(answer.outputs)


def test_trailing_metadata_is_that_of_the_headers(service: Service, stub: GRPCInferenceServiceStub) -> None:
    """
    An answer comes with what REST has as headers, the request's id among it, and a fresh one is had by the same word.
    """
    stub.ModelInfer(question())
    answer, call = stub.ModelInfer.with_call(question(), metadata=(("x-request-id", "mine-1"),))
    trailing = dict(call.trailing_metadata())
    body = {"inputs": [TENSOR | {"data": TEXTS}]}
    headers = httpx.post(f"{service.url}/v2/models/{MODEL}/infer", json=body).headers
    of_transport = {"date", "server", "content-length", "content-type"}
    assert set(trailing) == set(headers) - of_transport
    assert (trailing["x-request-id"], trailing["x-model-revision"]) == ("mine-1", answer.model_version)
    fresh = dict(stub.ModelInfer.with_call(question(), metadata=NO_CACHE)[1].trailing_metadata())
    assert (trailing.get("x-cache"), fresh.get("x-cache")) in {(None, None), ("hit", "miss")}


def test_versions_and_metadata(stub: GRPCInferenceServiceStub) -> None:
    """
    The version that a model lists answers, is ready and has metadata, and no other is found.
    """
    model = stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL))
    (version,) = model.versions
    server = stub.ServerMetadata(pb.ServerMetadataRequest())
    tensors = {
        name: [{"name": t.name, "datatype": t.datatype, "shape": t.shape} for t in getattr(model, name)]
        for name in ("inputs", "outputs")
    }
    check_metadata(
        {"extensions": list(server.extensions)}, {"name": model.name, "versions": [version], **tensors}, version
    )
    assert stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL, version=version)) == model
    assert stub.ModelReady(pb.ModelReadyRequest(name=MODEL, version=version)).ready
    assert stub.ModelInfer(question(model_version=version)).model_version == version
    for name, other in (("other", ""), (MODEL, "other")):
        for refusal in (
            refusal_of(stub.ModelMetadata, pb.ModelMetadataRequest(name=name, version=other)),
            refusal_of(stub.ModelReady, pb.ModelReadyRequest(name=name, version=other)),
            refusal_of(stub.ModelInfer, question(model_name=name, model_version=other)),
        ):
            assert (refusal.code(), error_type(refusal)) == (grpc.StatusCode.NOT_FOUND, "not_found")


def test_health(channel: grpc.Channel, stub: GRPCInferenceServiceStub) -> None:
    """
    The process is live and ready, and the health service that Kubernetes asks says so; it knows no other service.
    """
    health = HealthStub(channel)
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    for name in ("", "inference.GRPCInferenceService"):
        assert health.Check(HealthCheckRequest(service=name)).status == HealthCheckResponse.SERVING
    assert refusal_of(health.Check, HealthCheckRequest(service="other")).code() is grpc.StatusCode.NOT_FOUND
    watch = health.Watch(HealthCheckRequest())
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_closed_repository(stub: GRPCInferenceServiceStub) -> None:
    """
    No client loads or unloads a model.
    """
    for call, request in (
        (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name=MODEL)),
        (stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name=MODEL)),
    ):
        refusal = refusal_of(call, request)
        assert (refusal.code(), error_type(refusal)) == (grpc.StatusCode.PERMISSION_DENIED, "forbidden")


WRONG = [
    question(inputs=[]),
    question(inputs=[CONTENTS] * 2),
    question(inputs=[{}] * 1_000_000),
    question(inputs=[CONTENTS, CONTENTS | {"name": SECRET}]),
    question(tensor={"name": SECRET}),
    question(tensor={"datatype": SECRET}),
    question(tensor={"datatype": "FP32"}),
    *(
        question(tensor={"shape": shape})
        for shape in ([], [-2], [1], [3], [2, 2], [2, 1, 1], [2**62, 4], [2] * 100_000)
    ),
    question(tensor={"contents": {"bytes_contents": [SECRET.encode(), SECRET.encode() + b"\xff"]}}),
    question(tensor={"contents": {"bytes_contents": [SECRET.encode(), SECRET.encode() + b"\xed\xa0\x80"]}}),
    question(tensor={"contents": {"bytes_contents": [b""] * 1_000_000}}),
    question(tensor={"contents": {"fp32_contents": [1, 2]}}),
    question(outputs=requested(SECRET)),
    question(outputs=requested("label", "label")),
    question(outputs=requested("label") * 100_000),
    question(is_raw=True, raw_input_contents=[raw(TEXTS), raw(TEXTS)]),
    question(is_raw=True, raw_input_contents=[raw(TEXTS) + b"\x00"]),
    question(is_raw=True, raw_input_contents=[raw(TEXTS)[:-1]]),
    question(is_raw=True, raw_input_contents=[raw([*TEXTS, SECRET])]),
    question(is_raw=True, raw_input_contents=[raw([*TEXTS[:1], SECRET.encode() + b"\xff"])]),
    question(is_raw=True, raw_input_contents=[bytes(4_000_000)]),
    question(is_raw=True, inputs=[CONTENTS | {"name": SECRET}]),
    question(is_raw=True, inputs=[]),
]


def test_wrong_requests_are_invalid_with_a_reason(stub: GRPCInferenceServiceStub) -> None:
    """
    A wrong request is refused with a reason that does not repeat it, and the next one is answered.
    """
    for request in WRONG:
        refusal = refusal_of(stub.ModelInfer, request)
        assert (refusal.code(), error_type(refusal)) == (grpc.StatusCode.INVALID_ARGUMENT, "validation")
        assert refusal.details()
        assert SECRET not in refusal.details()
        check_answer(stub.ModelInfer(question()))


@pytest.mark.parametrize("method", ["ModelInfer", "ModelReady"])
@pytest.mark.parametrize(
    "content", [b"\xff" * 8, b"\x0a\x03\xff\xfe\xfd", SECRET.encode()], ids=["tag", "utf8", "text"]
)
def test_bytes_that_are_no_message_are_the_clients_fault(channel: grpc.Channel, method: str, content: bytes) -> None:
    """
    Bytes that are no protobuf message, or hold a name that is not UTF-8, are the client's fault, not the server's.
    """
    refusal = refusal_of(channel.unary_unary(f"/inference.GRPCInferenceService/{method}"), content)
    assert (refusal.code(), error_type(refusal)) == (grpc.StatusCode.INVALID_ARGUMENT, "validation")
    assert SECRET not in refusal.details()


def test_too_many_texts_are_refused(stub: GRPCInferenceServiceStub) -> None:
    """
    A text over the limit is RESOURCE_EXHAUSTED, whether the data is there or only promised.
    """
    for texts in ([b""] * 4097, [b""]):
        refusal = refusal_of(stub.ModelInfer, question(tensor={"shape": [4097], "contents": {"bytes_contents": texts}}))
        assert (refusal.code(), error_type(refusal)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_large")


@pytest.mark.parametrize("compression", list(grpc.Compression))
def test_too_large_messages_are_refused(
    service: Service, stub: GRPCInferenceServiceStub, compression: grpc.Compression
) -> None:
    """
    A message beyond the service's limit, as sent or as inflated, is RESOURCE_EXHAUSTED, and the next is answered.
    """
    limit = 4 * MIB if service.env.get("REDIS_URL") else 25 * MIB
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}", compression=compression) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        refusal = refusal_of(infer, question(id="7" * (limit + MIB)))
        assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        check_answer(infer(question(id="7" * 3 * MIB)))
