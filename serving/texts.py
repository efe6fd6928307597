"""
Texts out of a request, whichever protocol brought them: KServe's v1 JSON or an OIP tensor.

Fault messages say where and what would be right, and never repeat a text.
"""

from collections.abc import Sequence
from itertools import chain, islice

from kserve.protocol.infer_type import InferInput, InferRequest

from serving.errors import InvalidRequest, Location, TooLarge

INPUT_NAME = "text"
_LENGTH_BYTES = 4
_JSON_NAMES = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number"}


def from_v1(payload: object, *, max_texts: int) -> list[str]:
    """
    The texts of `{"text": "…"}`, `{"text": ["…", …]}` or `{"instances": ["…" or {"text": "…"}, …]}`.

    Raises:
        InvalidRequest: 400, another shape, or an item that is not a string.
        TooLarge: 413, more than `max_texts`.
    """
    body = json_object(payload)
    if ("text" in body) == ("instances" in body):
        raise InvalidRequest(
            'send either {"text": "…"}, {"text": ["…", …]} or {"instances": ["…", …]}',
            location=("body", "text"),
            kind="missing",
        )
    if "text" in body:
        return string_or_strings(body["text"], ("body", "text"), max_texts=max_texts)
    instances = body["instances"]
    if isinstance(instances, list):
        instances = [_instance(item, index) for index, item in enumerate(instances)]
    return strings(instances, ("body", "instances"), max_texts=max_texts)


def from_infer(request: InferRequest, *, max_texts: int) -> list[str]:
    """
    The texts of an OIP request: one input `text`, BYTES, of shape `[N]`, `[N,1]` or `[1,N]`.

    Raises:
        InvalidRequest: 400, another input, datatype or shape; data that does not fit it; bytes that are not UTF-8.
        TooLarge: 413, more than `max_texts`.
    """
    if [tensor.name for tensor in request.inputs] != [INPUT_NAME]:
        raise InvalidRequest(f"send exactly one input, named '{INPUT_NAME}'", location=("inputs",))
    tensor = request.inputs[0]
    if tensor.datatype != "BYTES":
        raise InvalidRequest(f"input '{INPUT_NAME}' must be of datatype BYTES", location=("inputs", 0, "datatype"))
    count = _count(tensor.shape)
    if count > max_texts:
        raise _too_many(count, max_texts)
    items = _elements(tensor, count)
    if len(items) != count:
        raise InvalidRequest(
            f"the shape promises {count} texts, the data holds {'more' if len(items) > count else 'fewer'}",
            location=("inputs", 0, "shape"),
        )
    return strings([_utf8(item, index) for index, item in enumerate(items)], ("inputs", 0, "data"), max_texts=max_texts)


def json_object(payload: object) -> dict[str, object]:
    """
    The payload, which must be a JSON object.

    Raises:
        InvalidRequest: 400, it is something else.
    """
    if not isinstance(payload, dict):
        raise InvalidRequest(f"the body must be a JSON object, got {_json_name(payload)}", kind="dict_type")
    return payload


def field(payload: object, name: str) -> object:
    """
    A field that the JSON object must have.

    Raises:
        InvalidRequest: 400, no object, or no such field.
    """
    body = json_object(payload)
    if name not in body:
        raise InvalidRequest(f"the field '{name}' is missing", location=("body", name), kind="missing")
    return body[name]


def strings(items: object, location: Location, *, max_texts: int, expected: str = "a list of strings") -> list[str]:
    """
    The items, which must be a list of strings within the limit; an empty list is a valid question.

    Args:
        expected: what the route takes, for the fault's words.

    Raises:
        InvalidRequest: 400, no list, or an item that is not a string.
        TooLarge: 413, more than `max_texts`.
    """
    name = str(location[-1])
    if not isinstance(items, list):
        raise InvalidRequest(
            f"'{name}' must be {expected}, got {_json_name(items)}",
            location=location,
            kind="list_type",
        )
    if len(items) > max_texts:
        raise _too_many(len(items), max_texts)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise InvalidRequest(
                f"'{name}[{index}]' must be a string, got {_json_name(item)}",
                location=(*location, index),
                kind="string_type",
            )
    return items


def string_or_strings(items: object, location: Location, *, max_texts: int) -> list[str]:
    """
    As `strings`; one string counts as a list of one.
    """
    if isinstance(items, str):
        return [items]
    return strings(items, location, max_texts=max_texts, expected="a string or a list of strings")


def _instance(item: object, index: int) -> object:
    if not isinstance(item, dict):
        return item
    if "text" not in item:
        raise InvalidRequest(
            f"'instances[{index}]' must be a string or have a 'text'",
            location=("body", "instances", index),
            kind="missing",
        )
    return item["text"]


def _count(shape: Sequence[int]) -> int:
    match shape:
        case [count] | [count, 1] | [1, count] if isinstance(count, int) and count >= 0:
            return count
        case _:
            raise InvalidRequest("the shape must be [N], [N,1] or [1,N], N ≥ 0", location=("inputs", 0, "shape"))


def _elements(tensor: InferInput, count: int) -> list[object]:
    """
    The elements, or one more than promised where there are too many: a small body can hold millions of empty ones.

    InferInput.as_string() fails on every form of BYTES (KSERVE.md 8), so each form is read here.
    """
    if tensor._raw_data is not None:  # noqa: SLF001
        return _raw_elements(tensor._raw_data, count)  # noqa: SLF001
    data = tensor.data
    if isinstance(data, str) or not isinstance(data, Sequence):
        raise InvalidRequest("'data' must be a list of strings", location=("inputs", 0, "data"), kind="list_type")
    nested = data and all(isinstance(row, list) for row in data)
    return list(islice(chain.from_iterable(data) if nested else data, count + 1))


def _raw_elements(raw: bytes, count: int) -> list[object]:
    elements: list[object] = []
    start = 0
    while start < len(raw) and len(elements) <= count:
        text = start + _LENGTH_BYTES
        end = text + int.from_bytes(raw[start:text], "little")
        if end > len(raw):
            raise InvalidRequest("raw BYTES must be 4-byte little-endian lengths, each followed by its text")
        elements.append(raw[text:end])
        start = end
    return elements


def _utf8(item: object, index: int) -> object:
    if not isinstance(item, bytes):
        return item
    try:
        return item.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"text {index} is not valid UTF-8", location=("inputs", 0, "data", index)) from None


def _too_many(count: int, max_texts: int) -> TooLarge:
    return TooLarge(f"{count} texts are more than the limit of {max_texts} a request; send several requests")


def _json_name(value: object) -> str:
    return "null" if value is None else _JSON_NAMES.get(type(value), "a string")
