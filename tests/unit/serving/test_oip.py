from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput, InferRequest

from serving import oip, texts
from serving.errors import InvalidRequest

SECRET = "my secret"
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
    request = oip.decode(orjson.dumps(sent), None, "m")
    assert texts.from_infer(request, max_texts=10) == items
    assert (request.id, request.request_outputs[0].name, request.use_binary_outputs) == ("42", "label", True)


@given(st.lists(st.text(), min_size=1, max_size=10))
def test_binary(items: list[str]) -> None:
    """
    A request of the binary extension gives the texts behind its JSON.
    """
    body, json_length = _binary(items)
    request = oip.decode(body, str(json_length), "m")
    assert texts.from_infer(request, max_texts=10) == items
    assert request.id == "42"


@given(st.lists(st.text(), min_size=1, max_size=5), st.data())
def test_binary_cut(items: list[str], data: st.DataObject) -> None:
    """
    A binary body cut anywhere before its end is refused.
    """
    body, json_length = _binary(items)
    with pytest.raises(InvalidRequest):
        oip.decode(body[: data.draw(st.integers(0, len(body) - 1))], str(json_length), "m")


@pytest.mark.parametrize(
    ("sent", "location"),
    [
        ([], ()),
        ({}, ("inputs",)),
        ({"inputs": SECRET}, ("inputs",)),
        ({"inputs": [SECRET]}, ("inputs", 0)),
        ({"inputs": [{**INPUT, "data": SECRET}]}, ("inputs", 0, "data")),
        ({"inputs": [{**INPUT, "shape": [1.5]}]}, ("inputs", 0, "shape", 0)),
        ({"inputs": [{**INPUT, "shape": SECRET}]}, ("inputs", 0, "shape")),
        ({"inputs": [{**INPUT, "datatype": None}]}, ("inputs", 0, "datatype")),
        ({"inputs": [INPUT], "id": 5}, ("id",)),
        ({"inputs": [INPUT], "outputs": [SECRET]}, ("outputs", 0)),
        ({"inputs": [INPUT], "parameters": SECRET}, ("parameters",)),
        ({"inputs": [SECRET] * 100_000}, ("inputs",)),
        ({"inputs": [INPUT], "outputs": [{"name": "label"}] * 100_000}, ("outputs",)),
    ],
)
def test_wrong_json(sent: Any, location: tuple[object, ...]) -> None:
    """
    A wrong request is refused with its place, in words that repeat nothing that was sent.
    """
    with pytest.raises(InvalidRequest) as caught:
        oip.decode(orjson.dumps(sent), None, "m")
    assert caught.value.location == location
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    "sent",
    [
        [],
        {},
        {"inputs": [SECRET]},
        {"inputs": [{"name": "text"}]},
        {"inputs": [{**INPUT, "datatype": None}]},
        {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]},
        {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": SECRET}}]},
        {"inputs": [INPUT], "outputs": [SECRET]},
        {"inputs": [INPUT], "outputs": [{"name": "label", "parameters": 5}]},
        {"inputs": [INPUT], "parameters": SECRET},
    ],
)
def test_wrong_binary(sent: Any) -> None:
    """
    A wrong request of the binary extension is refused before it reaches a model, in words that do not repeat it.
    """
    body = orjson.dumps(sent)
    with pytest.raises(InvalidRequest) as caught:
        oip.decode(body, str(len(body)), "m")
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("header", ["", "-1", "1.5", "abc", "²", "3", "9" * 5000], ids=lambda header: header[:3])
def test_wrong_length(header: str) -> None:
    """
    A length that is no number of bytes within the body is refused.
    """
    with pytest.raises(InvalidRequest):
        oip.decode(b"{}", header, "m")


@pytest.mark.parametrize("json_length", [None, "9"])
def test_not_json(json_length: str | None) -> None:
    """
    A body that is not JSON is refused in words that do not repeat it.
    """
    with pytest.raises(InvalidRequest) as caught:
        oip.decode(b"my secret", json_length, "m")
    assert SECRET not in caught.value.message
