"""
A digest taken on the way.
"""

import hashlib
import io
from collections.abc import Callable

import pyarrow as pa

_CHUNK_BYTES = 1024 * 1024

Tell = Callable[[int], None]
"""
Told of bytes that were read.
"""


class Hashed(io.RawIOBase):
    """
    A stream that takes the digest of what is read from it.
    """

    def __init__(self, stream: pa.NativeFile, tell: Tell) -> None:
        self._stream = stream
        self._tell = tell
        self.digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """
        Say so, for `io.BufferedReader`.
        """
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """
        Read what there is, up to the buffer's size.
        """
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        self.digest.update(content)
        self.size += len(content)
        self._tell(len(content))
        return len(content)

    def finish(self) -> None:
        """
        Read what nobody wanted.
        """
        while self.readinto(memoryview(bytearray(_CHUNK_BYTES))):
            pass
