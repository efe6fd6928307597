"""
A file's lines, one at a time, each with its place, none longer in memory than a bound.
"""

import io
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""
Longest record that is read, as long as the service's largest request: a quote that nobody closes, or a file without
lines, must not fill the memory.
"""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BUFFER_BYTES = 1024 * 1024


class Line(NamedTuple):
    """
    One line.

    Attributes:
        number: counted from 1.
        offset: where in the file it begins, bytes.
        size: its bytes, line end included.
        raw: its bytes; only the beginning of one that is longer than a record may be.
    """

    number: int
    offset: int
    size: int
    raw: bytes


class Lines:
    """
    The lines of a stream.

    Args:
        stream: a binary file, at `offset`.
        offset: where the first line begins.
        number: the first line's.
        stop: where the last one ends; None for the end of the file.
    """

    def __init__(self, stream: io.RawIOBase, *, offset: int = 0, number: int = 1, stop: int | None = None) -> None:
        self._stream = io.BufferedReader(stream, _BUFFER_BYTES)
        self.offset = offset
        self._number = number
        self._stop = stop
        self._back: deque[Line] = deque()

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> Line:
        if self._back:
            return self._back.popleft()
        if self._stop is not None and self.offset >= self._stop:
            raise StopIteration
        raw = chunk = self._stream.readline(MAX_RECORD_BYTES + 1)
        if not raw:
            raise StopIteration
        size = len(raw)
        while len(raw) > MAX_RECORD_BYTES and chunk and not chunk.endswith(b"\n"):
            chunk = self._stream.readline(_BUFFER_BYTES)
            size += len(chunk)
        line = Line(self._number, self.offset, size, raw)
        self.offset += size
        self._number += 1
        return line

    def push_back(self, lines: Iterable[Line]) -> None:
        """
        Have lines come again, in their order.
        """
        self._back.extendleft(reversed(list(lines)))
