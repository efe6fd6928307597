"""
Which files the input has.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

from local.supervisor import Failure
from scoring.places import Place, expand

SUFFIXES = ("csv", "tsv", "jsonl", "parquet")


def find(addresses: Iterable[str], output: Place) -> list[Place]:
    """
    The files that paths, folders, patterns and URLs name, each once; those of the output are none.

    Raises:
        Failure: there are none, or they are of several formats, or of none that is known.
    """
    found = (place for address in addresses for place in expand(address))
    places = {place.path: place for place in found if not place.path.startswith(f"{output.path}/")}
    if not places:
        raise Failure("INPUT has no files that are not of OUTPUT; name another OUTPUT")
    known = {path: place for path, place in places.items() if suffix_of(path) in SUFFIXES}
    endings = ", ".join(f".{suffix}" for suffix in SUFFIXES)
    if unknown := [path for path in places if path not in known]:
        raise Failure(f"{unknown[0]}: its name ends in none of {endings}; leave it out, as with INPUT/*.csv")
    if len(suffixes := {suffix_of(path) for path in known}) > 1:
        raise Failure(f"INPUT has files of several formats, {', '.join(sorted(suffixes))}; score each for itself")
    return list(known.values())


def suffix_of(path: str) -> str:
    """
    What a file's name ends in, which tells its format.
    """
    return PurePosixPath(path).suffix.removeprefix(".").lower()
