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

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from local.supervisor import Failure

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}")
_SECRETS = re.compile(r"(://)(?:[^\s']*@)?([^\s'?]*)(?:\?[^\s':]*)?")


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

    def __contains__(self, other: "Place") -> bool:
        return other.path.startswith(f"{self.path}/") and self.filesystem == other.filesystem

    @property
    def info(self) -> FileInfo:
        """
        What there is, how large, and since when.
        """
        with failures(self.path):
            return self.filesystem.get_file_info(self.path)

    @property
    def size(self) -> int | None:
        """
        Bytes of the file; None where there is none.
        """
        info = self.info
        return info.size if info.is_file else None

    def files(self) -> list["Place"]:
        """
        All that is below this folder but folders, in order; nothing where there is no such folder.
        """
        with failures(self.path):
            infos = self.filesystem.get_file_info(FileSelector(self.path, recursive=True, allow_not_found=True))
            paths = sorted(info.path for info in infos if info.type != FileType.Directory)
            return [Place(self.filesystem, path) for path in paths]

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
        return bool(_UNFINISHED.fullmatch(self.path.rpartition("/")[2]))

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
    if not address:
        raise Failure("the path '' names nothing; check INPUT and OUTPUT")
    if "://" not in address:
        return Place(LocalFileSystem(), os.path.abspath(address))  # noqa: PTH100  # keeps `*`, and any slashes
    with failures(address):
        filesystem, path = FileSystem.from_uri(address)
        return Place(filesystem, path.rstrip("/"))


@contextlib.contextmanager
def failures(what: str) -> Iterator[None]:
    """
    Tell whatever a file system has against it in one line, without what only its owner may read.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error).partition("\n")[0]
        raise Failure(_SECRETS.sub(r"\1\2", f"{what}: {reason}")) from error
    except UnicodeError as error:
        raise Failure(f"{what}: the name of a file or a column is not UTF-8; rename it") from error
