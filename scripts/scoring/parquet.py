"""
Parquet: which rows make a part, and the rows of one.
"""

import base64
import contextlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from local.supervisor import Failure
from scoring.job import Part
from scoring.lines import MAX_RECORD_BYTES
from scoring.places import Place
from scoring.record import NO_TEXT, NOT_UTF8, TOO_LONG, Rejected
from scoring.sheet import TableSheet

_FEWEST_ROWS, _MOST_ROWS = 64, 8192
"""
Rows at once: the bytes of a row group are those of its encoding, and a short one may stand for many long texts.
"""


@contextlib.contextmanager
def opened(place: Place) -> Iterator[pq.ParquetFile]:
    """
    Open a file so that little of it is in memory at once.
    """
    with place.open() as file:
        try:
            yield pq.ParquetFile(file, buffer_size=1024 * 1024, pre_buffer=False)
        except pa.ArrowException as error:
            raise Failure(f"{place.path} cannot be read as Parquet: {str(error).partition(chr(10))[0]}") from None


def schema(place: Place) -> pa.Schema:
    """
    The columns of a file.
    """
    with opened(place) as file:
        return file.schema_arrow


def is_text(held: pa.DataType) -> bool:
    """
    Whether a column of this type holds strings.
    """
    held = held.value_type if kinds.is_dictionary(held) else held
    return any(is_kind(held) for is_kind in (kinds.is_string, kinds.is_large_string, kinds.is_string_view))


def spans(place: Place, part_bytes: int) -> Iterator[tuple[int, int]]:
    """
    First row and end of each part; none has rows of two row groups.
    """
    with opened(place) as file:
        begin = 0
        for group in _groups(file):
            rows = min(_MOST_ROWS, max(1, part_bytes * group.num_rows // max(1, group.total_byte_size)))
            end = begin + group.num_rows
            for start in range(begin, end, rows):
                yield start, min(start + rows, end)
            begin = end


def read(place: Place, part: Part, column: str) -> TableSheet:
    """
    Read a part's rows.
    """
    with opened(place) as file:
        counts = [group.num_rows for group in _groups(file)]
        begins = list(accumulate(counts, initial=0))
        group = bisect_right(begins, part.start) - 1
        rows = _rows(file, group, part.start - begins[group], part.stop - begins[group])
        table = pa.Table.from_batches(rows, file.schema_arrow)
    values = table.column(column).cast(pa.large_binary()).to_pylist()
    faults = [_fault(value) for value in values]
    texts = [value.decode() for value, fault in zip(values, faults, strict=True) if not fault]
    rejected = [
        Rejected(row + 1, row, len(value or b""), _raw(table, column, row - part.start, value), *fault)
        for row, (value, fault) in enumerate(zip(values, faults, strict=True), part.start)
        if fault
    ]
    return TableSheet(_without(table, faults), texts, rejected)


def _without(table: pa.Table, faults: Sequence[object]) -> pa.Table:
    """
    The rows without a fault, by slices, which there are of every type.
    """
    begin, runs = 0, [table.slice(0, 0)]
    for faulty, rows in groupby(faults, bool):
        count = len(list(rows))
        runs += [] if faulty else [table.slice(begin, count)]
        begin += count
    return pa.concat_tables(runs)


def _fault(text: bytes | None) -> tuple[str, str] | None:
    if text is None:
        return NO_TEXT, "null"
    if len(text) > MAX_RECORD_BYTES:
        return TOO_LONG, f"at most {MAX_RECORD_BYTES} bytes"
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return NOT_UTF8, f"byte {text[error.start]:#04x}"
    return None


def _raw(table: pa.Table, column: str, row: int, text: bytes | None) -> bytes | None:
    """
    A row as JSON, its text in base64.
    """
    if text is not None and len(text) > MAX_RECORD_BYTES:
        return None
    try:
        [others] = table.drop_columns([column]).slice(row, 1).to_pylist() or [{}]
    except UnicodeDecodeError:
        return text
    fields: dict[str, Any] = {**others, f"{column}_base64": text and base64.b64encode(text).decode()}
    return json.dumps(fields, default=str, ensure_ascii=False).encode()


def _groups(file: pq.ParquetFile) -> list[Any]:
    return [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]


def _rows(file: pq.ParquetFile, group: int, start: int, stop: int) -> Iterator[pa.RecordBatch]:
    at = 0
    # long rows make short parts: no more of them than that at once
    for batch in file.iter_batches(batch_size=max(_FEWEST_ROWS, stop - start), row_groups=[group]):
        begin, end = max(start - at, 0), min(stop - at, len(batch))
        if begin < end:
            yield batch.slice(begin, end - begin)
        at += len(batch)
        if at >= stop:
            return
