"""
Texts out of a file: its lines, or a column of a table or of JSON objects.
"""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from local.supervisor import Failure

_TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Texts:
    """
    Each text once.

    Attributes:
        first_line: where each text is first, the lines counted from 1.
        repeated: how many lines repeat an earlier text.
    """

    first_line: dict[str, int]
    repeated: int


def read(path: Path, column: str | None) -> Texts:
    """
    Read all texts; blank ones are left out.

    Raises:
        Failure: no such file, no text file, or no such column.
    """
    first_line: dict[str, int] = {}
    count = 0
    try:
        # a line of a table may be in the middle of a quoted text
        with path.open(encoding="utf-8-sig", newline="" if column else None) as file:
            for line, text in _texts(path, file, column):
                if "\0" in text:
                    raise Failure(f"{path} is no text file: line {line} holds a zero byte")
                if text.strip():
                    first_line.setdefault(text, line)
                    count += 1
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    except csv.Error as error:
        raise Failure(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not UTF-8; convert it first, as with iconv -t UTF-8") from None
    if not first_line:
        raise Failure(f"{path} holds no text")
    return Texts(first_line, count - len(first_line))


def _texts(path: Path, file: TextIO, column: str | None) -> Iterator[tuple[int, str]]:
    if column is None:
        if path.suffix in _TABLES:
            raise Failure(f"{path} has columns; name that of the texts with --column")
        return ((line, text.rstrip("\n")) for line, text in enumerate(file, 1))
    if path.suffix == ".jsonl":
        return _objects(path, file, column)
    return _rows(path, file, column)


def _rows(path: Path, file: TextIO, column: str) -> Iterator[tuple[int, str]]:
    csv.field_size_limit(sys.maxsize)  # a text may have any length
    comma = path.suffix == ".csv"
    # strict: a quote that nobody closes would make one text of the rest of the file
    dialect = {"strict": True} if comma else {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    reader = csv.DictReader(file, **dialect)
    if column not in (reader.fieldnames or ()):
        raise Failure(f"{path} has no column '{column}'; it has: {', '.join(reader.fieldnames or ())}")
    for row in reader:
        if row[column] is None:
            raise Failure(f"{path}: line {reader.line_num} ends before the column '{column}'")
        yield reader.line_num, row[column]


def _objects(path: Path, file: TextIO, column: str) -> Iterator[tuple[int, str]]:
    for line, content in enumerate(file, 1):
        if not content.strip():
            continue
        try:
            item = json.loads(content)
        except json.JSONDecodeError:
            item = None
        match item:
            case {**fields} if isinstance(text := fields.get(column), str):
                yield line, text
            case _:
                raise Failure(f"{path}: line {line} is no JSON object with a string '{column}'")
