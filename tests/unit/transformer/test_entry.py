import math
import struct

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from transformer import entry
from transformer.entry import Row

keys = st.text(max_size=40)


def _normalised(weights: list[float]) -> Row:
    return tuple(weight / sum(weights) for weight in weights)


rows = st.lists(st.floats(2**-10, 1), min_size=1, max_size=6).map(_normalised)


def float32(row: Row) -> Row:
    """
    The row as float32 holds it.
    """
    return tuple(struct.unpack("<f", struct.pack("<f", score))[0] for score in row)


@given(keys, rows)
def test_value_returns_its_row(key: str, row: Row) -> None:
    """
    A value unpacked under its own key is the row that was packed, exactly, in float32.
    """
    assert entry.unpack(key, entry.pack(key, row), len(row)) == float32(row)


@given(keys, st.binary(max_size=40) | st.none(), st.integers(1, 6))
def test_foreign_bytes_are_a_miss(key: str, value: bytes | None, columns: int) -> None:
    """
    Bytes that no `pack` made are no row.
    """
    assert entry.unpack(key, value, columns) is None


@given(keys, rows, st.data())
def test_one_wrong_bit_is_a_miss(key: str, row: Row, data: st.DataObject) -> None:
    """
    A value with one bit changed anywhere is no row.
    """
    value = bytearray(entry.pack(key, row))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    assert entry.unpack(key, bytes(value), len(row)) is None


@given(keys, keys, rows)
def test_value_of_another_key_is_a_miss(key: str, other: str, row: Row) -> None:
    """
    A value found under another key than its own is no row.
    """
    assume(key != other)
    assert entry.unpack(other, entry.pack(key, row), len(row)) is None


@given(keys, rows, st.integers(0, 8))
def test_value_of_another_length_is_a_miss(key: str, row: Row, columns: int) -> None:
    """
    A value with more or fewer scores than the revision has labels is no row.
    """
    assume(columns != len(row))
    assert entry.unpack(key, entry.pack(key, row), columns) is None


@pytest.mark.parametrize(
    "row", [(math.nan, 0.5), (math.inf, 0.0), (-math.inf, math.inf), (-0.5, 1.5), (0.5, 0.6), (0.5, 0.4), (0.0, 0.0)]
)
def test_scores_that_are_no_probabilities_are_a_miss(row: Row) -> None:
    """
    A value that carries its key and is no distribution is no row.
    """
    assert entry.unpack("key", entry.pack("key", row), len(row)) is None


parts = st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))


@given(parts, parts)
@example(("a:b", "c", "text"), ("a", "b:c", "text"))
@example(("m}:", "r", "text"), ("m", "}:r", "text"))
@example(("m", "r", "text"), ("m", "r", "text "))
@example(("m", "r", "caf\u00e9"), ("m", "r", "cafe\u0301"))
def test_each_model_revision_and_text_has_a_key_of_its_own(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    """
    Two keys are equal when model, revision and exact text are, and only then.
    """
    assert (entry.key_of(*one) == entry.key_of(*other)) == (one == other)


@given(st.text(min_size=8))
def test_key_hides_the_text(text: str) -> None:
    """
    A key does not hold its text, and is as long for any text.
    """
    key = entry.key_of("m", "r", text)
    assert text not in key.rpartition(":")[2]
    assert len(key) == len(entry.key_of("m", "r", ""))


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
@example("m", "r}:\n", "text")
def test_key_tells_its_revision(model_name: str, revision: str, text: str) -> None:
    """
    A key's revision can be read back, whatever its name.
    """
    assert entry.revision_of(model_name, entry.key_of(model_name, revision, text)) == revision


names = st.text(st.characters(exclude_characters=":"), max_size=8)


@given(names, names, st.text(max_size=8))
def test_key_of_another_model_tells_no_revision(model_name: str, other: str, revision: str) -> None:
    """
    A key of another model has no revision of this one.
    """
    assume(model_name != other)
    assert entry.revision_of(model_name, entry.key_of(other, revision, "text")) is None


@given(st.text(max_size=8))
def test_what_is_remembered_is_no_entry(model_name: str) -> None:
    """
    The key that remembers the revision belongs to none.
    """
    assert entry.revision_of(model_name, entry.remembered_key(model_name)) is None
