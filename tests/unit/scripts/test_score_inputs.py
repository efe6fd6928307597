"""Which files paths, folders, patterns and URLs name."""

import os
from pathlib import Path

import pytest

from local.supervisor import Failure
from scoring.places import place_of
from scoring.sources import find
from scoring.survey import survey

FILES = ("a.csv", "b.csv", "x/c.csv", "x/y/d.csv", "x/y/_hidden/e.csv", "[z]/f.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """
    Files at several depths.
    """
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"id,text\n1,{name}\n")
    return tmp_path


def found(folder: Path, *addresses: str) -> str:
    """
    The names of the files that are found, without endings.
    """
    places = find([str(folder / address) for address in addresses], place_of(str(folder / "out")))
    return " ".join(Path(place.path).stem for place in places)


def refusal(*addresses: str) -> str:
    """
    The one line that tells why not.
    """
    with pytest.raises(Failure) as failure:
        survey(find(addresses, place_of("out")), "text", 1, lambda _bytes: None)
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        (["*.csv"], "a b"),
        (["*"], "f a b c d"),
        (["**/*.csv"], "f a b c d"),
        (["x/**"], "c d"),
        (["**/y/*.csv"], "d"),
        (["x/**/y/**/d.csv"], "d"),
        (["?"], "c d"),
        (["[!a].csv"], "b"),
        (["[z]"], "f"),
        (["[z]/f.csv"], "f"),
        (["b.csv", "*.csv", "./b.csv"], "b a"),
    ],
)
def test_patterns_are_a_shells(folder: Path, addresses: list[str], names: str) -> None:
    """
    A pattern names what it names for a shell, with all in a folder, each file once; a name that is there is no pattern.
    """
    assert found(folder, *addresses) == names


def test_equal_paths_of_two_stores_are_two_files() -> None:
    """
    A file is left out as a double only of the same path in the same store.
    """
    one, other = (place_of(f"s3://k:s@bucket/a.csv?region=x&endpoint_override={port}") for port in (1, 2))
    assert one != other
    assert one not in place_of("s3://k:s@bucket?region=x&endpoint_override=2")
    assert one in place_of("s3://k:s@bucket?region=x&endpoint_override=1")


def test_what_is_no_file_is_told(folder: Path) -> None:
    """
    What cannot be read as a file of a known format is told by its name, and never waited for or left out unsaid.
    """
    os.mkfifo(folder / "pipe.csv")
    assert "pipe.csv is no file" in refusal(str(folder / "pipe.csv"))
    assert "pipe.csv is no file" in refusal(str(folder / "*.csv"))
    (folder / "pipe.csv").rename(folder / "x.csv.gz")
    assert "x.csv.gz is compressed" in refusal(str(folder))
    assert "names nothing" in refusal("")


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="names are UTF-8 there")
def test_names_that_are_not_utf8_are_told(folder: Path) -> None:
    """
    A file whose name is not UTF-8 is refused, named or found.
    """
    name = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.csv")
    Path(name).touch()
    assert "is not UTF-8" in refusal(name)
    assert "is not UTF-8" in refusal(str(folder))


@pytest.mark.parametrize("address", ["s3://KEY:SECRET@bucket/a.csv?no=1", "s3://KEY:SEC/SECRET@b/a.csv?secret=SECRET"])
def test_no_line_has_a_secret(address: str) -> None:
    """
    What is told of a URL leaves out who may read it.
    """
    with pytest.raises(Failure) as failure:
        place_of(address)
    assert "a.csv" in str(failure.value)
    assert "SEC" not in str(failure.value)
