"""
JSON Lines: objects that stay byte for byte as they are, with fields added at their end.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from scoring.lines import BYTE_ORDER_MARK, MAX_RECORD_BYTES, Line, Lines
from scoring.record import NO_TEXT, NOT_A_STRING, NOT_UTF8, TOO_LONG, Record, Rejected

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_EXACT_FLOAT = 2**53


class JsonLines:
    """
    One file's objects.

    Args:
        column: the texts'.
        kinds: what each field holds in all files together, as far as they are read.
    """

    header = b""

    def __init__(self, column: str, kinds: dict[str, str]) -> None:
        self._column = column
        self.kinds = kinds

    @property
    def names(self) -> list[str]:
        """
        Every field that a row has.
        """
        return list(self.kinds)

    def begin(self, lines: Lines, path: str) -> None:
        """
        There is no header.
        """

    def records(self, lines: Lines) -> Iterator[Record | Rejected]:
        """
        The rows, in order; blank lines are none.
        """
        for line in lines:
            raw = line.raw.removeprefix(BYTE_ORDER_MARK if line.offset == 0 else b"").rstrip()
            if raw:
                yield self._record(line, raw)

    def head(self, _added: Iterable[str]) -> bytes:
        """
        There is no header.
        """
        return b""

    def row(self, record: Record, added: dict[str, Any]) -> bytes:
        """
        A row of an output with more fields.
        """
        return record.raw[:-1].rstrip() + b", " + json.dumps(added, ensure_ascii=False).encode()[1:] + b"\n"

    def column_of(self, records: Sequence[Record], name: str) -> list[Any]:
        """
        The values of a field, of one kind; what has no common kind is JSON.
        """
        values = (record.fields.get(name) for record in records)
        match self.kinds[name]:
            case "float":
                return [None if value is None else float(value) for value in values]
            case "json":
                return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
            case _:
                return list(values)

    def _record(self, line: Line, raw: bytes) -> Record | Rejected:
        if line.size > MAX_RECORD_BYTES:
            detail = f"at most {MAX_RECORD_BYTES} bytes"
            return Rejected(line.number, line.offset, line.size, None, TOO_LONG, detail)
        try:
            fields = _object(raw)
            for name in fields:
                self.kinds.setdefault(name, "null")
            record = Record(line.number, line.offset, raw, fields, self._text(fields))
        except _BadRowError as bad:
            return Rejected(line.number, line.offset, line.size, raw, *bad.args)
        for name, value in fields.items():  # what is rejected has no part in what a field is like
            self.kinds[name] = _both(self.kinds[name], _kind(value))
        return record

    def _text(self, fields: dict[str, Any]) -> str:
        text = fields.get(self._column)
        if text is None:
            raise _BadRowError(NO_TEXT, "null" if self._column in fields else f"no field '{self._column}'")
        if not isinstance(text, str):
            raise _BadRowError(NOT_A_STRING, type(text).__name__)
        return text


class _BadRowError(Exception):
    """
    A row that cannot be scored: the reason, and perhaps a detail.
    """


def _object(raw: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw.decode())
        if b"\\u" in raw:
            json.dumps(fields, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except UnicodeDecodeError as error:
        raise _BadRowError(NOT_UTF8, f"byte {raw[error.start]:#04x}") from None
    except UnicodeEncodeError:
        raise _BadRowError("broken JSON", "half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise _BadRowError("broken JSON", f"{error.msg}, at character {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise _BadRowError("broken JSON", str(error)) from None
    if not isinstance(fields, dict):
        raise _BadRowError("not an object")
    return fields


def _kind(value: object) -> str:
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT_FLOAT:
        return "long" if abs(value) <= _LARGEST_INTEGER else "json"
    kinds = {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}
    return kinds.get(type(value), "json")


def _both(one: str, other: str) -> str:
    """
    The kind that can hold values of either.
    """
    kinds = {one, other} - {"null"}
    if len(kinds) < 2:  # noqa: PLR2004  # they agree
        return kinds.pop() if kinds else "null"
    if kinds == {"int", "long"}:
        return "long"
    return "float" if kinds == {"int", "float"} else "json"
