import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput, InferRequest

from serving import texts
from serving.errors import InvalidRequest, TooLarge

SECRET = "my secret"
TEXTS = st.lists(st.text(), max_size=20)


def _raw(items: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(item.encode())) + item.encode() for item in items)


def _tensor(data: Any, shape: list[Any], datatype: str = "BYTES", name: str = "text") -> InferRequest:
    if isinstance(data, bytes):
        return InferRequest("m", [InferInput(name, shape, datatype, data=[])], raw_inputs=[data])
    return InferRequest("m", [InferInput(name, shape, datatype, data=data)])


V1: list[Callable[[list[str]], object]] = [
    lambda items: {"text": items},
    lambda items: {"instances": items},
    lambda items: {"instances": [{"text": item} for item in items]},
    lambda items: {"instances": [{"text": item} if number % 2 else item for number, item in enumerate(items)]},
]
DATA: list[Callable[[list[str]], object]] = [
    lambda items: items,
    lambda items: [item.encode() for item in items],
    lambda items: [[item] for item in items],
    lambda items: [items],
    _raw,
]
SHAPES: list[Callable[[int], list[int]]] = [lambda n: [n], lambda n: [n, 1], lambda n: [1, n]]


@given(TEXTS, st.sampled_from(V1))
def test_v1(items: list[str], form: Callable[[list[str]], object]) -> None:
    """
    Every v1 shape gives exactly the texts that were sent, in their order; an empty list is a valid question.
    """
    assert texts.from_v1(form(items), max_texts=20) == items


@given(st.text())
def test_v1_single(text: str) -> None:
    """
    One string counts as a list of one.
    """
    assert texts.from_v1({"text": text}, max_texts=1) == [text]


@pytest.mark.parametrize(
    ("payload", "location", "kind"),
    [
        (None, ("body",), "dict_type"),
        ([SECRET], ("body",), "dict_type"),
        (SECRET, ("body",), "dict_type"),
        ({}, ("body", "text"), "missing"),
        ({SECRET: SECRET}, ("body", "text"), "missing"),
        ({"text": SECRET, "instances": [SECRET]}, ("body", "text"), "missing"),
        ({"text": None}, ("body", "text"), "list_type"),
        ({"text": 3}, ("body", "text"), "list_type"),
        ({"text": {SECRET: SECRET}}, ("body", "text"), "list_type"),
        ({"text": [SECRET, 3]}, ("body", "text", 1), "string_type"),
        ({"text": [SECRET, True]}, ("body", "text", 1), "string_type"),
        ({"text": [SECRET, None]}, ("body", "text", 1), "string_type"),
        ({"text": [[SECRET]]}, ("body", "text", 0), "string_type"),
        ({"instances": SECRET}, ("body", "instances"), "list_type"),
        ({"instances": {"text": SECRET}}, ("body", "instances"), "list_type"),
        ({"instances": [SECRET, 1.5]}, ("body", "instances", 1), "string_type"),
        ({"instances": [SECRET, {SECRET: SECRET}]}, ("body", "instances", 1), "missing"),
        ({"instances": [{"text": [SECRET]}]}, ("body", "instances", 0), "string_type"),
    ],
)
def test_v1_wrong(payload: object, location: tuple[object, ...], kind: str) -> None:
    """
    Another shape is refused with its place and kind, in words that repeat nothing that was sent.
    """
    with pytest.raises(InvalidRequest) as caught:
        texts.from_v1(payload, max_texts=20)
    assert (caught.value.location, caught.value.kind) == (location, kind)
    assert SECRET not in caught.value.message


@given(TEXTS, st.sampled_from(DATA), st.sampled_from(SHAPES))
def test_infer(items: list[str], form: Callable[[list[str]], object], shape: Callable[[int], list[int]]) -> None:
    """
    Every form and shape of the OIP tensor gives exactly the texts that were sent, in their order.
    """
    assert texts.from_infer(_tensor(form(items), shape(len(items))), max_texts=20) == items


@pytest.mark.parametrize(
    ("request_", "location"),
    [
        (InferRequest("m", []), ("inputs",)),
        (InferRequest("m", [InferInput("text", [1], "BYTES", data=[SECRET])] * 2), ("inputs",)),
        (_tensor([SECRET], [1], name="input-0"), ("inputs",)),
        (_tensor([SECRET], [1], "FP32"), ("inputs", 0, "datatype")),
        (_tensor([SECRET], [1], "UINT8"), ("inputs", 0, "datatype")),
        (_tensor([SECRET], []), ("inputs", 0, "shape")),
        (_tensor([SECRET], [-1]), ("inputs", 0, "shape")),
        (_tensor([SECRET], [-1, 1]), ("inputs", 0, "shape")),
        (_tensor([SECRET], [1, -1]), ("inputs", 0, "shape")),
        (_tensor([SECRET], [1.0]), ("inputs", 0, "shape")),
        (_tensor([SECRET] * 4, [2, 2]), ("inputs", 0, "shape")),
        (_tensor([SECRET], [1, 1, 1]), ("inputs", 0, "shape")),
        (_tensor(SECRET, [1]), ("inputs", 0, "data")),
        (_tensor(None, [1]), ("inputs", 0, "data")),
        (_tensor([SECRET, 3], [2]), ("inputs", 0, "data", 1)),
        (_tensor([SECRET, [SECRET]], [2]), ("inputs", 0, "data", 1)),
        (_tensor([[[SECRET]]], [1]), ("inputs", 0, "data", 0)),
        (_tensor([b"fine", b"my secret\xff"], [2]), ("inputs", 0, "data", 1)),
        (_tensor(b"\x0a\x00\x00\x00my secret\xff", [1]), ("inputs", 0, "data", 0)),
    ],
)
def test_infer_wrong(request_: InferRequest, location: tuple[object, ...]) -> None:
    """
    Another input, datatype, shape or element is refused with its place, in words that repeat nothing that was sent.
    """
    with pytest.raises(InvalidRequest) as caught:
        texts.from_infer(request_, max_texts=20)
    assert caught.value.location == location
    assert SECRET not in caught.value.message


@given(TEXTS, st.integers(0, 20), st.sampled_from([DATA[0], DATA[1], DATA[-1]]))
def test_infer_count(items: list[str], count: int, form: Callable[[list[str]], object]) -> None:
    """
    A shape that promises another number of texts than the data holds is refused.
    """
    if count != len(items):
        with pytest.raises(InvalidRequest):
            texts.from_infer(_tensor(form(items), [count]), max_texts=20)


@given(st.lists(st.text(), min_size=1, max_size=5), st.data())
def test_infer_raw_cut(items: list[str], data: st.DataObject) -> None:
    """
    Raw bytes cut anywhere before their end are refused.
    """
    whole = _raw(items)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(InvalidRequest):
        texts.from_infer(_tensor(part, [len(items)]), max_texts=20)


@pytest.mark.parametrize("many", [bytes(4_000_000), [""] * 1_000_000, [[""]] * 1_000_000], ids=["raw", "flat", "rows"])
def test_infer_millions(many: bytes | list[Any]) -> None:
    """
    Of millions of elements behind a small shape only one more than promised is read.
    """
    tensor = _tensor(many, [3]).inputs[0]
    assert len(texts._elements(tensor, 3)) == 4


def test_infer_raw_length() -> None:
    """
    A raw length far beyond the data is refused.
    """
    with pytest.raises(InvalidRequest):
        texts.from_infer(_tensor(b"\xff\xff\xff\xffmy secret", [1]), max_texts=20)


@given(st.integers(0, 8), st.integers(1, 4), st.sampled_from(V1))
def test_v1_limit(count: int, limit: int, form: Callable[[list[str]], object]) -> None:
    """
    As many texts as the limit are taken, one more is 413.
    """
    payload = form(["a"] * count)
    if count <= limit:
        assert len(texts.from_v1(payload, max_texts=limit)) == count
    else:
        with pytest.raises(TooLarge):
            texts.from_v1(payload, max_texts=limit)


@given(st.integers(0, 8), st.integers(1, 4), st.sampled_from(DATA), st.sampled_from(SHAPES))
def test_infer_limit(
    count: int, limit: int, form: Callable[[list[str]], object], shape: Callable[[int], list[int]]
) -> None:
    """
    The limit holds for every form of the OIP tensor.
    """
    request = _tensor(form(["a"] * count), shape(count))
    if count <= limit:
        assert len(texts.from_infer(request, max_texts=limit)) == count
    else:
        with pytest.raises(TooLarge):
            texts.from_infer(request, max_texts=limit)


def test_field() -> None:
    """
    A field that must be there is given back, or named as missing.
    """
    assert texts.field({"text": None}, "text") is None
    with pytest.raises(InvalidRequest, match="'text'") as caught:
        texts.field({SECRET: 1}, "text")
    assert (caught.value.location, caught.value.kind) == (("body", "text"), "missing")
