"""
Where inputs lie and outputs go: folders of this machine, or object stores.

All through pyarrow, which brings S3 (`s3://`), Google Cloud Storage (`gs://`) and Azure (`abfss://`) along; each takes
its credentials from where its own tools have them.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from local.supervisor import Failure

_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Place:
    """
    A file or a folder.

    Attributes:
        path: as the file system has it: no scheme, no options, no secrets.
    """

    filesystem: FileSystem
    path: str

    def __truediv__(self, name: str) -> "Place":
        return Place(self.filesystem, f"{self.path}/{name}")

    @property
    def size(self) -> int | None:
        """
        Bytes of the file; None where there is none.
        """
        with failures(self.path):
            info = self.filesystem.get_file_info(self.path)
            return info.size if info.type == FileType.File else None

    def files(self) -> list["Place"]:
        """
        All files below this folder, in order; none where there is no such folder.
        """
        with failures(self.path):
            infos = self.filesystem.get_file_info(FileSelector(self.path, recursive=True, allow_not_found=True))
            return [Place(self.filesystem, info.path) for info in sorted(infos, key=_path) if info.is_file]

    def open(self) -> pa.NativeFile:
        """
        Open the file for reading at any position.
        """
        with failures(self.path):
            return self.filesystem.open_input_file(self.path)

    def read(self) -> bytes:
        """
        The file's content.
        """
        with self.open() as file, failures(self.path):
            content: bytes = file.read()
            return content

    def write(self, content: bytes) -> None:
        """
        Write the file whole or not at all.
        """
        with failures(self.path):
            if not isinstance(self.filesystem, LocalFileSystem):
                self._put(self.path, content)  # an object appears when all of it has arrived
                return
            folder, _, name = self.path.rpartition("/")
            self.filesystem.create_dir(folder)
            unfinished = f"{folder}/.{name}.{uuid.uuid4().hex}"
            try:
                self._put(unfinished, content)
                self.filesystem.move(unfinished, self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    self.filesystem.delete_file(unfinished)
                raise

    @property
    def unfinished(self) -> bool:
        """
        Whether this is what a killed run left.
        """
        return self.path.rpartition("/")[2].startswith(".")

    def remove(self) -> None:
        """
        Remove the file.
        """
        with failures(self.path):
            self.filesystem.delete_file(self.path)

    def _put(self, path: str, content: bytes) -> None:
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(content)


def place_of(address: str) -> Place:
    """
    The place that a path or a URL names.
    """
    if "://" not in address:
        return Place(LocalFileSystem(), os.path.abspath(address))  # noqa: PTH100  # keeps `*`, and any slashes
    with failures(address.partition("?")[0]):
        filesystem, path = FileSystem.from_uri(address)
        return Place(filesystem, path.rstrip("/"))


def expand(address: str) -> list[Place]:
    """
    The files that a path, a folder or a pattern names, in order; hidden ones are left out.

    Raises:
        Failure: there are none.
    """
    place = place_of(address)
    if place.size is not None:
        return [place]
    fixed = "/".join(takewhile(lambda name: not _WILDCARD.search(name), place.path.split("/")))
    files = [file for file in Place(place.filesystem, fixed).files() if not _hidden(file.path[len(fixed) :])]
    if fixed != place.path:
        files = [file for file in files if PurePosixPath("/", file.path).match(f"/{place.path.lstrip('/')}")]
    if not files:
        raise Failure(f"{place.path}: no such file, and no folder or pattern with files; check INPUT")
    return files


@contextlib.contextmanager
def failures(what: str) -> Iterator[None]:
    """
    Tell whatever a file system has against it in one line.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error).partition("\n")[0]
        raise Failure(f"{what}: {reason}") from error


def _hidden(path: str) -> bool:
    return any(name.startswith((".", "_")) for name in path.split("/"))


def _path(info: "pa.fs.FileInfo") -> str:
    path: str = info.path
    return path
