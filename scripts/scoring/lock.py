"""
One run at a time in an output.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from pyarrow.fs import LocalFileSystem

from local.supervisor import Failure
from scoring.places import Place, failures


@contextlib.contextmanager
def locked(output: Place) -> Iterator[None]:
    """
    Make the folder, and keep other runs out of it until the end, whatever that is.

    An object store has no locks: two runs there write the same objects, each whole.

    Raises:
        Failure: another run is at work there.
    """
    if not isinstance(output.filesystem, LocalFileSystem):
        yield
        return
    with failures(output.path):
        output.filesystem.create_dir(output.path)
        folder = os.open(output.path, os.O_RDONLY)
    try:
        _lock(folder, output.path)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, path: str) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(f"{path}: another run is at work there; wait for its end") from None
    except OSError:
        return  # a network's file system may have no locks either
