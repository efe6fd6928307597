"""
One row of the input: as it is, or why it cannot be scored.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """
    A row that can be scored.

    Attributes:
        line: counted from 1.
        offset: where in the file it begins, bytes.
        raw: its bytes, without the line's end.
        fields: its cells in the order of the columns, or its fields by name.
        text: what is scored.
    """

    line: int
    offset: int
    raw: bytes
    fields: Any
    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    A row that cannot.

    Attributes:
        line: counted from 1; of Parquet, the row.
        offset: where in the file it begins, bytes; of Parquet, the row counted from 0.
        size: its bytes.
        raw: its bytes; None for one that was too long to keep.
        reason: one of few, so that they can be counted.
        detail: what the reason leaves open.
    """

    line: int
    offset: int
    size: int
    raw: bytes | None
    reason: str
    detail: str = ""

    def to_json(self, file: str) -> bytes:
        """
        Render it as a line of JSON that loses nothing.
        """
        told: dict[str, Any] = {"file": file, "line": self.line, "offset": self.offset, "bytes": self.size}
        told["reason"] = f"{self.reason}: {self.detail}" if self.detail else self.reason
        if self.raw is not None:
            try:
                told["raw"] = self.raw.decode()
            except UnicodeDecodeError:
                told["raw_base64"] = base64.b64encode(self.raw).decode()
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"


NOT_UTF8 = "not UTF-8"
TOO_LONG = "too long"
NO_TEXT = "no text"
NOT_A_STRING = "not a string"
"""
Reasons that several formats have.
"""
