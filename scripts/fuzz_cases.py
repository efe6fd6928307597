"""
Requests that nobody should send, and some that are right, drawn by hypothesis.
"""

import gzip
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.message import Message
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

PATHS = (
    "/v1/models/sentiment:predict",
    "/v2/models/sentiment/infer",
    "/v2/models/sentiment/versions/0/infer",
    "/v1/models/other:predict",
    "/predict",
    "/project/bulk-predict",
)


class Case(NamedTuple):
    """
    A request over REST.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes


# "\ud800" is a lone surrogate, which JSON can carry and UTF-8 cannot
_ODD_TEXT = st.sampled_from(["", "\x00", "\ud800", "\u202e", "a" * 5000, "\U0001f600" * 50, "NaN", "é́", "中文"])
_TEXT = st.text(max_size=30) | _ODD_TEXT
_NUMBER = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 10**400, 1e308])
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBER | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=8,
)
_TEXTS = st.lists(_TEXT, max_size=6)
_ANY_TEXTS = st.one_of(_TEXTS, _TEXTS, _TEXTS, _TEXT, _JSON)
_V1 = st.fixed_dictionaries(
    {}, optional={"text": _ANY_TEXTS, "instances": st.lists(_TEXT | st.fixed_dictionaries({"text": _TEXT})) | _JSON}
)


def _or_odd(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(right, right, right, _JSON)


_PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data", "binary_data_size", "binary_data_output", "content_type"]) | _TEXT,
    _JSON,
    max_size=3,
)
_TENSOR = st.fixed_dictionaries(
    {
        "name": _or_odd(st.just("text")),
        "shape": _or_odd(st.lists(st.integers(-2, 6) | _NUMBER, max_size=3)),
        "datatype": _or_odd(st.sampled_from(["BYTES", "BYTES", "FP32", "INT64", "BOOL", "STRING"])),
    },
    optional={"data": _ANY_TEXTS, "parameters": _or_odd(_PARAMETERS)},
)
_OUTPUT = st.fixed_dictionaries({"name": _or_odd(st.sampled_from(["scores", "label"]))}, optional={"parameters": _JSON})
_OIP = st.fixed_dictionaries(
    {"inputs": _or_odd(st.lists(_TENSOR, min_size=1, max_size=3))},
    optional={
        "outputs": _or_odd(st.lists(_OUTPUT, max_size=3)),
        "id": _or_odd(_TEXT),
        "parameters": _or_odd(_PARAMETERS),
    },
)


def _broken(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """
    Bytes as they are, cut, with something put in, or with bytes behind them.
    """

    def broken(content: bytes, at: int, odd: bytes, how: str) -> bytes:
        place = at % (len(content) + 1)
        match how:
            case "cut":
                return content[:place]
            case "in":
                return content[:place] + odd + content[place:]
            case "behind":
                return content + odd
            case _:
                return content

    ways = st.sampled_from([*["whole"] * 9, "cut", "in", "behind"])
    return st.builds(broken, whole, st.integers(0, 10_000), st.binary(max_size=20), ways)


_BODY = _broken((_V1 | _OIP | _JSON).map(lambda value: json.dumps(value).encode())) | st.one_of(
    st.binary(max_size=100), st.integers(1, 100_000).map(lambda depth: b"[" * depth)
)
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "application/octet-stream", "text/plain", "x", ""]),
        "inference-header-content-length": st.integers(-1, 400).map(str) | st.sampled_from(["", "x", "9" * 30]),
        "cache-control": st.sampled_from(["no-cache", "no-store", ","]),
        "x-request-id": st.text("abc -\x7f", max_size=200),
        "accept-encoding": st.just("gzip"),
    },
)


def _case(path: str, headers: dict[str, str], body: bytes, encoding: str) -> Case:
    if encoding == "gzip":
        return Case(path, headers | {"content-encoding": "gzip"}, gzip.compress(body, 1))
    return Case(path, headers | ({"content-encoding": encoding} if encoding else {}), body)


CASES = st.builds(
    _case, st.sampled_from(PATHS), _HEADERS, _BODY, st.sampled_from(["", "", "", "gzip", "br", "identity"])
)

_SHORT = st.text(max_size=20)
_WIRE_PARAMETERS = st.dictionaries(
    _SHORT, st.booleans().map(lambda value: pb.InferParameter(bool_param=value)), max_size=2
)
_BYTES = st.lists(st.binary(max_size=30), max_size=5)
_CONTENTS = st.builds(pb.InferTensorContents, bytes_contents=_BYTES) | st.builds(
    pb.InferTensorContents, int64_contents=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)
)
_WIRE_TENSOR = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=st.sampled_from(["text", "text", "TEXT"]) | _SHORT,
    datatype=st.sampled_from(["BYTES", "BYTES", "FP32"]) | _SHORT,
    shape=st.lists(st.integers(-2, 6) | st.integers(-(2**63), 2**63 - 1), max_size=3),
    contents=_CONTENTS,
    parameters=_WIRE_PARAMETERS,
)
_FRAMED = st.lists(st.text(max_size=20)).map(
    lambda texts: b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)
)
_MESSAGE: st.SearchStrategy[Message] = st.builds(
    pb.ModelInferRequest,
    model_name=st.sampled_from([*["sentiment"] * 9, "other", ""]),
    model_version=st.sampled_from([*[""] * 9, "0", "é"]),
    id=_SHORT,
    inputs=st.lists(_WIRE_TENSOR, max_size=3),
    outputs=st.lists(
        st.builds(pb.ModelInferRequest.InferRequestedOutputTensor, name=st.sampled_from(["scores", "label"]) | _SHORT),
        max_size=2,
    ),
    raw_input_contents=st.lists(_FRAMED | st.binary(max_size=40), max_size=2),
)
MESSAGES = _broken(_MESSAGE.map(lambda message: message.SerializeToString())) | st.binary(max_size=100)
