"""
Which files the input has.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import PurePosixPath

from pyarrow.fs import FileSystem, FileType

from local.supervisor import Failure
from scoring.places import Place, place_of

SUFFIXES = ("csv", "tsv", "jsonl", "parquet")

_WILDCARD = re.compile(r"[*?\[]")
_COMPRESSED = ("gz", "bz2", "xz", "zst", "zip", "lz4", "snappy")


def find(addresses: Iterable[str], output: Place) -> list[Place]:
    """
    The files that paths, folders, patterns and URLs name, each once; those of the output are none.

    Raises:
        Failure: there are none, or they are of several formats, or of none that is known.
    """
    places = _distinct(place for address in addresses for place in _expand(address) if place not in output)
    if not places:
        raise Failure("INPUT has no files that are not of OUTPUT; name another OUTPUT")
    endings = ", ".join(f".{suffix}" for suffix in SUFFIXES)
    for place in places:
        if suffix_of(place.path) in _COMPRESSED:
            raise Failure(f"{place.path} is compressed; unpack it first, or leave it out, as with INPUT/*.csv")
        if suffix_of(place.path) not in SUFFIXES:
            raise Failure(f"{place.path}: its name ends in none of {endings}; leave it out, as with INPUT/*.csv")
    if len(suffixes := {suffix_of(place.path) for place in places}) > 1:
        raise Failure(f"INPUT has files of several formats, {', '.join(sorted(suffixes))}; score each for itself")
    return places


def suffix_of(path: str) -> str:
    """
    What a file's name ends in, which tells its format.
    """
    return PurePosixPath(path).suffix.removeprefix(".").lower()


def _expand(address: str) -> list[Place]:
    """
    The files that a path, a folder or a pattern names, in order; hidden ones are left out.

    A pattern names folders as well, with all in them, as a shell does; `**` in it is any folders, or none.

    Raises:
        Failure: there are none.
    """
    place = place_of(address)
    kind = place.info.type
    if kind not in (FileType.Directory, FileType.NotFound):
        return [place]
    names = place.path.split("/")
    fixed = len(names)
    if kind == FileType.NotFound:
        fixed = sum(1 for _ in takewhile(lambda name: not _WILDCARD.search(name), names))
    root = Place(place.filesystem, "/".join(names[:fixed]) or "/")
    below = ((file, file.path.split("/")[fixed:]) for file in root.files())
    files = [file for file, path in below if not _hidden(path) and _matches(path, names[fixed:])]
    if not files:
        raise Failure(f"{place.path}: no such file, and no folder or pattern with files; check INPUT")
    return files


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(path[skipped:], pattern[1:]) for skipped in range(len(path)))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])


def _hidden(path: Sequence[str]) -> bool:
    return any(name.startswith((".", "_")) for name in path)


def _distinct(places: Iterable[Place]) -> list[Place]:
    filesystems: list[FileSystem] = []  # which have no hashes
    distinct: dict[tuple[int, str], Place] = {}
    for place in places:
        if place.filesystem not in filesystems:
            filesystems.append(place.filesystem)
        distinct.setdefault((filesystems.index(place.filesystem), place.path), place)
    return list(distinct.values())
