"""
One request that a fuzz run sends: drawn from a seed, and kept as a Python literal where it does harm.
"""

import ast
import hashlib
from pathlib import Path
from typing import NamedTuple

GRPC = "GRPC"
"""The method of a case that goes over gRPC; any other is HTTP's."""

Headers = tuple[tuple[str, bytes], ...]


class Case(NamedTuple):
    """
    A request, over REST or gRPC.

    Attributes:
        method: of HTTP, or `GRPC`.
        path: the URL's path and query; of gRPC the method's.
        headers: gRPC's metadata alike.
        body: of gRPC the message, unframed.
    """

    method: str
    path: str
    headers: Headers
    body: bytes

    def literal(self) -> str:
        """
        Write it down, so that `read` finds it again.
        """
        return f"{tuple(self)!r}\n"

    def keep(self, folder: Path) -> Path:
        """
        Write it to a file, named by its content.
        """
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{hashlib.sha256(self.literal().encode()).hexdigest()[:12]}.txt"
        file.write_text(self.literal())
        return file


def read(file: Path) -> Case:
    """
    Read a case that was kept.
    """
    return Case(*ast.literal_eval(file.read_text()))
