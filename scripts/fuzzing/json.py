"""
JSON that is nearly right: right questions of every route, changed in a few places, drawn by hypothesis.
"""

import json
from typing import Any

from hypothesis import strategies as st

# Written by hand: deeper than json.dumps can go, and longer than it is worth to draw.
_DEEP, _LONG = "@deep", "@long"

_ODD_TEXTS = [
    "",
    " ",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\u202e",
    "\ufeff",
    "NaN",
    "é́",
    "中文",
    "😀" * 50,
    "a" * 3000,
    _LONG,
]
_NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400, -0.0, 1e308, float("nan"), float("inf")]
_KEYS = ["text", "instances", "inputs", "outputs", "data", "shape", "datatype", "name", "id", "parameters"]
_BINARY_KEYS = ["binary_data", "binary_data_size", "binary_data_output"]

TEXT = st.text(max_size=20) | st.sampled_from(["I love you.", "I hate you.", *_ODD_TEXTS])
_KEY = st.sampled_from([*_KEYS, *_BINARY_KEYS]) | TEXT
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from([*_NUMBERS, _DEEP]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEY, inner, max_size=3),
    max_leaves=5,
)

_TEXTS = st.lists(TEXT, max_size=3)
_BINARY_OUTPUT = st.fixed_dictionaries({"binary_data": st.booleans()})
_OUTPUT = st.fixed_dictionaries({"name": st.sampled_from(["scores", "label"])}, optional={"parameters": _BINARY_OUTPUT})
EXTRAS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT,
        "outputs": st.lists(_OUTPUT, max_size=2, unique_by=lambda output: str(output["name"])),
        "parameters": st.fixed_dictionaries({"binary_data_output": st.booleans()}),
    },
)
V1 = st.fixed_dictionaries({"text": TEXT | _TEXTS}) | st.fixed_dictionaries(
    {"instances": st.lists(TEXT | st.fixed_dictionaries({"text": TEXT}), max_size=3)}
)


def rarely(one_in: int) -> st.SearchStrategy[bool]:
    """
    True about once in so many: hypothesis prefers the ends of a range, and this is none.
    """
    return st.integers(0, one_in - 1).map(lambda number: number == one_in * 2 // 3)


def mostly(right: st.SearchStrategy[Any], odd: st.SearchStrategy[Any], one_in: int = 8) -> st.SearchStrategy[Any]:
    """
    What is right, but about once in so many.
    """
    return rarely(one_in).flatmap(lambda wrong: odd if wrong else right)


@st.composite
def infer(draw: st.DrawFn) -> dict[str, Any]:
    """
    A question of the Open Inference Protocol.
    """
    texts = draw(_TEXTS)
    count = len(texts)
    shape = draw(st.sampled_from([[count], [count, 1], [1, count]]))
    tensor = {"name": "text", "shape": shape, "datatype": "BYTES", "data": texts}
    return {"inputs": [tensor], **draw(EXTRAS)}


@st.composite
def mutated(draw: st.DrawFn, whole: st.SearchStrategy[Any]) -> Any:  # noqa: ANN401  # JSON
    """
    A value, changed in up to three places.
    """
    value = draw(whole)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2, 3]))):
        value = _changed(draw, value)
    return value


def _changed(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401  # JSON
    if value and isinstance(value, dict | list) and not draw(rarely(4)):
        places = sorted(value) if isinstance(value, dict) else range(len(value))
        copy, place = value.copy(), draw(st.sampled_from(places))
        copy[place] = _changed(draw, value[place])
        return copy
    way = draw(st.sampled_from([_odd, _odd, _less, _more, _wrapped, _named, _many, _quoted]))
    return way(draw, value)


def _odd(draw: st.DrawFn, _value: Any) -> Any:  # noqa: ANN401  # JSON, as below
    return draw(ODD)


def _less(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401
    match value:
        case {**fields} if fields:
            gone = draw(st.sampled_from(sorted(fields, key=str)))
            return {key: fields[key] for key in fields if key != gone}
        case [_, *items]:
            return items
    return None


def _more(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401
    match value:
        case {**fields}:
            return {**fields, draw(_KEY): draw(ODD)}
        case [*items]:
            return [*items, draw(ODD)]
    return [value, draw(ODD)]


def _wrapped(_draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401
    return [value]


def _named(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401
    return {draw(_KEY): value}


def _many(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401
    return [value] * draw(mostly(st.integers(2, 9), st.integers(100, 5000), 20))


def _quoted(_draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401
    return json.dumps(value)


@st.composite
def written(draw: st.DrawFn, value: Any) -> bytes:  # noqa: ANN401  # JSON
    """
    JSON as bytes, in one of the ways to write it, right or wrong.
    """
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1])))
    if draw(rarely(12)):  # a key twice
        text = text.replace("{", f"{json.dumps({draw(_KEY): draw(ODD)})[:-1]}, ", 1)
    coding = draw(mostly(st.just("utf-8"), st.sampled_from(["utf-8-sig", "utf-16", "utf-7"])))
    content = text.encode(coding, "replace" if coding == "utf-7" else "surrogatepass")
    if _DEEP.encode() in content:
        depth = draw(mostly(st.integers(1, 2000), st.integers(2000, 100_000)))
        content = content.replace(b'"%b"' % _DEEP.encode(), b"[" * depth + b"]" * depth, 1)
    if _LONG.encode() in content:
        times = draw(mostly(st.integers(1, 2000), st.integers(2000, 900_000), 20))
        content = content.replace(_LONG.encode(), b"long " * times, 1)
    return content
