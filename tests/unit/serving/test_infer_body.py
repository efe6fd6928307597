import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput, InferRequest

from serving import infer_body, texts
from serving.errors import InvalidRequest

SECRET = "my secret"
RAW = b"\x09\x00\x00\x00my secret"
INPUT = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [SECRET]}


def _binary(items: list[str]) -> tuple[bytes, int]:
    tensor = InferInput("text", [len(items)], "BYTES")
    tensor.set_data_from_numpy(np.array([item.encode() for item in items], dtype=np.object_), binary_data=True)
    body, json_length = InferRequest("m", [tensor], request_id="42").to_rest()
    assert isinstance(body, bytes)
    return body, json_length


@given(st.lists(st.text(), max_size=10))
def test_json(items: list[str]) -> None:
    """
    A JSON request gives its texts, its id, its parameters and its requested outputs.
    """
    tensor = {**INPUT, "shape": [len(items)], "data": items}
    sent = {"id": "42", "inputs": [tensor], "outputs": [{"name": "label"}], "parameters": {"binary_data_output": True}}
    request = infer_body.decode(orjson.dumps(sent), None, "m")
    assert texts.from_infer(request, max_texts=10) == items
    assert (request.id, request.request_outputs[0].name, request.use_binary_outputs) == ("42", "label", True)


@given(st.lists(st.text(), min_size=1, max_size=10))
def test_binary(items: list[str]) -> None:
    """
    A request of the binary extension gives the texts behind its JSON.
    """
    body, json_length = _binary(items)
    request = infer_body.decode(body, str(json_length), "m")
    assert texts.from_infer(request, max_texts=10) == items
    assert request.id == "42"


@given(st.lists(st.text(), min_size=1, max_size=5), st.data())
def test_binary_cut(items: list[str], data: st.DataObject) -> None:
    """
    A binary body cut anywhere before its end is refused.
    """
    body, json_length = _binary(items)
    with pytest.raises(InvalidRequest):
        infer_body.decode(body[: data.draw(st.integers(0, len(body) - 1))], str(json_length), "m")


@pytest.mark.parametrize(
    ("sent", "location"),
    [
        ([], ("body",)),
        ({}, ("inputs",)),
        ({"inputs": SECRET}, ("inputs",)),
        ({"inputs": [SECRET]}, ("inputs", 0)),
        ({"inputs": [{**INPUT, "data": SECRET}]}, ("inputs", 0, "data")),
        ({"inputs": [{**INPUT, "shape": [1.5]}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": [1.0]}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": [True]}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": ["1"]}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": [10.0**30]}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": [SECRET] * 100_000}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": SECRET}]}, ("inputs", 0, "shape")),
        ({"inputs": [{**INPUT, "datatype": None}]}, ("inputs", 0, "datatype")),
        ({"inputs": [INPUT], "id": 5}, ("id",)),
        ({"inputs": [INPUT], "outputs": [SECRET]}, ("outputs", 0)),
        ({"inputs": [INPUT], "parameters": SECRET}, ("parameters",)),
        ({"inputs": [INPUT], "parameters": {"binary_data_output": SECRET}}, ("parameters", "binary_data_output")),
        (
            {"inputs": [INPUT], "outputs": [{"name": "label", "parameters": {"binary_data": 1}}]},
            ("outputs", 0, "parameters", "binary_data"),
        ),
        ({"inputs": [{**INPUT, "data": None}]}, ("inputs",)),
        ({"inputs": [{**INPUT, "parameters": {"binary_data_size": 0}}]}, ("inputs",)),
        ({"inputs": [SECRET] * 100_000}, ("inputs", 0)),
        ({"inputs": [INPUT] * 100_000}, ("inputs",)),
        ({"inputs": [INPUT], "outputs": [{"name": "label"}] * 100_000}, ("outputs",)),
    ],
)
def test_wrong_json(sent: Any, location: tuple[object, ...]) -> None:
    """
    A wrong request is refused with its place, in words that repeat nothing that was sent.
    """
    with pytest.raises(InvalidRequest) as caught:
        infer_body.decode(orjson.dumps(sent), None, "m")
    assert caught.value.location == location
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("size", [-1, 14, 12, 2**63, 2**70, 13.0, 13.5, True, "13", [13], None])
def test_wrong_size(size: Any) -> None:
    """
    A binary size that is not exactly the number of bytes behind the JSON is refused, in words that do not repeat them.
    """
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(InvalidRequest) as caught:
        infer_body.decode(head + RAW, str(len(head)), "m")
    assert SECRET not in caught.value.message


def test_several_binary_inputs() -> None:
    """
    Each input has its own bytes, in the inputs' order, beside inputs whose data is in the JSON.
    """
    sizes = [{"parameters": {"binary_data_size": size}} for size in (3, 0, 2)]
    bare = {"name": "text", "shape": [1], "datatype": "BYTES"}
    head = orjson.dumps({"inputs": [bare | sizes[0], INPUT, bare | sizes[1], bare | sizes[2]]})
    inputs = infer_body.decode(head + b"abcde", str(len(head)), "m").inputs
    assert [tensor._raw_data for tensor in inputs] == [b"abc", None, b"", b"de"]


def test_datatype() -> None:
    """
    A datatype is read as it was sent: those of the protocol are in capitals.
    """
    [tensor] = infer_body.decode(orjson.dumps({"inputs": [{**INPUT, "datatype": "bytes"}]}), None, "m").inputs
    assert tensor.datatype == "bytes"


@pytest.mark.parametrize("asked", [None, False, True])
@pytest.mark.parametrize("own", [None, False, True])
def test_binary_outputs(asked: bool | None, own: bool | None) -> None:
    """
    An output is binary by its own wish, by the request's where it has none, and JSON by default.
    """
    wish = {} if own is None else {"parameters": {"binary_data": own}}
    sent = {"inputs": [INPUT], "outputs": [{"name": "label", **wish}]}
    if asked is not None:
        sent["parameters"] = {"binary_data_output": asked}
    (output,) = infer_body.decode(orjson.dumps(sent), None, "m").request_outputs
    assert output.binary_data == (own if own is not None else bool(asked))


@pytest.mark.parametrize("header", ["", "-1", "1.5", "abc", "²", "3", "9" * 5000], ids=lambda header: header[:3])
def test_wrong_length(header: str) -> None:
    """
    A length that is no number of bytes within the body is refused.
    """
    with pytest.raises(InvalidRequest):
        infer_body.decode(b"{}", header, "m")


@pytest.mark.parametrize("json_length", [None, "9"])
def test_not_json(json_length: str | None) -> None:
    """
    A body that is not JSON is refused in words that do not repeat it.
    """
    with pytest.raises(InvalidRequest) as caught:
        infer_body.decode(b"my secret", json_length, "m")
    assert SECRET not in caught.value.message
