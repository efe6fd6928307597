"""
Calls over gRPC that nobody should make, and some that are right, drawn by hypothesis.
"""

from typing import Any

from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from fuzzing.case import GRPC, Case, Headers
from fuzzing.json import mostly, rarely
from fuzzing.rest import broken

_SERVICE = "/inference.GRPCInferenceService"
INFER = f"{_SERVICE}/ModelInfer"
_METHODS = [
    *(f"{_SERVICE}/{method.name}" for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods),
    *(f"{_SERVICE}/{name}" for name in ("ModelStreamInfer", "modelinfer", "")),
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/x/y",
]

# protobuf carries no lone surrogates
_TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["I love you.", "\0", "a" * 3000, "中文"])
_OUTPUT_NAMES: st.SearchStrategy[list[str]] = st.lists(mostly(st.sampled_from(["scores", "label"]), _TEXT), max_size=3)
_ANY_INT64 = st.integers(-(2**63), 2**63 - 1)
_PARAMETER = st.one_of(
    st.builds(pb.InferParameter, bool_param=st.booleans()),
    st.builds(pb.InferParameter, int64_param=_ANY_INT64),
    st.builds(pb.InferParameter, string_param=_TEXT),
)
_PARAMETERS = st.dictionaries(st.sampled_from(["binary_data", "sequence_id"]) | _TEXT, _PARAMETER, max_size=2)
_OTHER_CONTENTS = st.one_of(
    st.builds(pb.InferTensorContents, int64_contents=st.lists(_ANY_INT64, max_size=3)),
    st.builds(pb.InferTensorContents, fp32_contents=st.lists(st.floats(width=32), max_size=3)),
    st.builds(pb.InferTensorContents, bool_contents=st.lists(st.booleans(), max_size=3)),
)
_MANY = mostly(st.just(1), st.sampled_from([2, 15, 17, 300, 5000]), 20)


@st.composite
def _tensor(draw: st.DrawFn, texts: list[bytes], *, raw: bool) -> Any:  # noqa: ANN401  # protobuf's
    count = len(texts)
    right = st.sampled_from([[count], [count, 1], [1, count]])
    tensor = pb.ModelInferRequest.InferInputTensor(
        name=draw(mostly(st.just("text"), _TEXT)),
        datatype=draw(mostly(st.just("BYTES"), st.sampled_from(["FP32", "INT64", "bytes", ""]))),
        shape=draw(mostly(right, st.lists(st.integers(-2, 6) | _ANY_INT64, max_size=4))),
    )
    if draw(rarely(10)):
        tensor.shape.extend([1] * draw(_MANY))
        tensor.MergeFrom(draw(st.builds(pb.ModelInferRequest.InferInputTensor, parameters=_PARAMETERS)))
    if raw is draw(rarely(16)):
        tensor.contents.bytes_contents.extend(texts)
    if draw(rarely(10)):
        tensor.contents.MergeFrom(draw(_OTHER_CONTENTS))
    return tensor


@st.composite
def _message(draw: st.DrawFn) -> bytes:
    """
    An inference request with up to a few things wrong, as bytes.
    """
    text = mostly(_TEXT.map(str.encode), st.binary(max_size=20))
    texts, raw = draw(st.lists(text, max_size=3)) * draw(_MANY), draw(st.booleans())
    request = pb.ModelInferRequest(
        model_name=draw(mostly(st.just("sentiment"), st.sampled_from(["other", ""]) | _TEXT)),
        model_version=draw(mostly(st.just(""), _TEXT)),
        id=draw(_TEXT),
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in draw(_OUTPUT_NAMES)],
    )
    request.inputs.extend([draw(_tensor(texts, raw=raw))] * draw(_TIMES))
    if raw:
        more = mostly(st.just(0), st.sampled_from([1, 2**31]), 30)
        wrong, framing = draw(more), [len(text).to_bytes(4, "little") + text for text in texts]
        request.raw_input_contents.extend(
            [wrong.to_bytes(4, "little") * (wrong > 0) + b"".join(framing)] * draw(_TIMES)
        )
    return request.SerializeToString()


_TIMES = mostly(st.just(1), st.sampled_from([0, 2, 40]), 12)
_METADATA = {
    "cache-control": st.sampled_from([b"no-cache", b"no-store,"]),
    "x-request-id": st.sampled_from([b"mine", b" ", b"a" * 300]),
    "x-request-id-bin": st.binary(max_size=20),
    "inference-header-content-length": st.sampled_from([b"5", b"x"]),
    "x-forwarded-for": st.just(b"::1, x"),
    "authorization": st.just(b"Bearer x"),
}


@st.composite
def _metadata(draw: st.DrawFn) -> Headers:
    names = draw(st.lists(st.sampled_from(sorted(_METADATA)), max_size=3))
    return tuple((name, draw(_METADATA[name])) for name in names)


@st.composite
def calls(draw: st.DrawFn) -> Case:
    """
    A call.
    """
    content = draw(mostly(_message().flatmap(broken), st.binary()))
    if draw(rarely(2000)):
        content += b"\0" * draw(st.sampled_from([2**22, 2**25]))
    return Case(GRPC, draw(mostly(st.just(INFER), st.sampled_from(_METHODS))), draw(_metadata()), content)
