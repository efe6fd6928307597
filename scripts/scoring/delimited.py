"""
CSV and TSV: rows that stay byte for byte as they are, with cells added at their end.

CSV is RFC 4180's, strictly: what a quote breaks is rejected, and reading goes on with the next line. A TSV has a row a
line and no quotes.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from local.supervisor import Failure
from scoring.lines import BYTE_ORDER_MARK, MAX_RECORD_BYTES, Line, Lines
from scoring.record import NOT_UTF8, TOO_LONG, Record, Rejected

_DIALECTS: dict[str, dict[str, Any]] = {
    "csv": {"strict": True},
    "tsv": {"strict": True, "delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None},
}
csv.field_size_limit(MAX_RECORD_BYTES)


class Delimited:
    """
    One file's rows.

    Args:
        suffix: `csv` or `tsv`.
        column: the texts'.
        header: the file's first record, once it is known.
    """

    def __init__(self, suffix: str, column: str, header: bytes = b"") -> None:
        self.header = header
        self._column = column
        self._dialect = _DIALECTS[suffix]
        self._delimiter: bytes = self._dialect.get("delimiter", ",").encode()
        self.names = self._names(header) if header else []

    def begin(self, lines: Lines, path: str) -> None:
        """
        Read the header off a file's beginning.

        Raises:
            Failure: there is none.
        """
        line = next(lines, None)
        raw = line.raw if line else b""
        self.header = raw.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n")
        try:
            self.names = self._names(self.header)
        except (csv.Error, UnicodeDecodeError):
            raise Failure(f"{path}: the first line must name the columns, in UTF-8, and end in a line feed") from None
        if not self.names:
            raise Failure(f"{path} is empty; the first line must name the columns")

    def records(self, lines: Lines) -> Iterator[Record | Rejected]:
        """
        The rows, in order; blank lines are none.
        """
        feed = _Feed(lines)
        reader = csv.reader(feed, **self._dialect)
        position = self.names.index(self._column)
        while True:
            feed.begin_record()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _TooLongError) as error:
                # a quote may have swallowed good rows: they come again, as lines of their own
                first, *others = feed.pulled
                lines.push_back(others)
                yield _broken(first, error)
                continue
            if cells:
                yield self._record(feed.pulled, cells, position)

    def head(self, added: Iterable[str]) -> bytes:
        """
        The header of an output with more columns.
        """
        return self._append(self.header, added)

    def row(self, record: Record, added: dict[str, Any]) -> bytes:
        """
        A row of an output with more cells.
        """
        cells = (value if isinstance(value, str) else json.dumps(value) for value in added.values())
        return self._append(record.raw, cells)

    def column_of(self, records: Sequence[Record], name: str) -> list[str]:
        """
        The cells of a column.
        """
        position = self.names.index(name)
        return [record.fields[position] for record in records]

    def _names(self, header: bytes) -> list[str]:
        return next(csv.reader([header.decode()], **self._dialect), [])

    def _record(self, pulled: list[Line], cells: list[str], position: int) -> Record | Rejected:
        raw = b"".join(line.raw for line in pulled).rstrip(b"\r\n")
        number, offset, size = pulled[0].number, pulled[0].offset, sum(line.size for line in pulled)
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            return Rejected(number, offset, size, raw, NOT_UTF8, f"byte {raw[error.start]:#04x}")
        if len(cells) != len(self.names):
            counts = f"{len(cells)}, the header has {len(self.names)}"
            return Rejected(number, offset, size, raw, "wrong number of cells", counts)
        return Record(number, offset, raw, cells, cells[position])

    def _append(self, raw: bytes, cells: Iterable[str]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n", **self._dialect).writerow(cells)
        return raw + self._delimiter + text.getvalue().encode()


class _TooLongError(Exception):
    """
    A record went on for longer than one may be.
    """


class _Feed:
    """
    Lines for csv's reader, which takes just as many as a record has.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.pulled: list[Line] = []
        self._size = 0

    def begin_record(self) -> None:
        """
        Forget the lines of the last record.
        """
        self.pulled.clear()
        self._size = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.pulled.append(line)
        self._size += line.size
        if self._size > MAX_RECORD_BYTES:
            raise _TooLongError
        # the record is refused later on, with its bytes
        return line.raw.decode(errors="replace")


def _broken(line: Line, error: Exception) -> Rejected:
    if line.size > MAX_RECORD_BYTES:
        return Rejected(line.number, line.offset, line.size, None, TOO_LONG, f"at most {MAX_RECORD_BYTES} bytes")
    detail = str(error)
    if isinstance(error, _TooLongError) or "end of data" in detail:
        detail = "a quote that is not closed"
    if "new-line" in detail:
        detail = "a carriage return without a line feed, outside of quotes"
    return Rejected(line.number, line.offset, line.size, line.raw.rstrip(b"\r\n"), "broken CSV", detail)
