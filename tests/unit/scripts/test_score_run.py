"""Whole runs, with an engine that computes nothing."""

import asyncio
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import score as command
from local.supervisor import Failure
from predictor.settings import PredictorSettings
from scoring import here, places, scorer
from scoring.lock import locked
from scoring.places import place_of
from scoring.run import Options, run

ROWS = 300
LEFTOVER = "0123456789abcdef" * 2


class FakeEngine:
    """
    A text's score is its length's, but for the last digits, which are those of all that is computed with it.
    """

    def __init__(self, settings: PredictorSettings, *, threads: int, computed: Callable[[int], None]) -> None:
        self.computed = computed

    def close(self) -> None: ...

    async def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[0] * len(text) for text in texts]

    def is_cut(self, text: str, token_ids: list[int]) -> bool:
        return len(text) > 512

    async def probabilities(self, texts: Sequence[list[int]]) -> list[list[float]]:
        self.computed(len(texts))
        beside = sum(map(len, texts)) % 997 / 1e6
        return [[1 - len(text) / 1024 - beside, len(text) / 1024 + beside] for text in texts]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No model.
    """
    monkeypatch.setattr(scorer, "Engine", FakeEngine)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """
    An input of many parts; every tenth row lacks a cell.
    """
    rows = ["2" if number % 10 == 5 else f'{number},"{"x" * (number % 100)}"' for number in range(ROWS)]
    file = tmp_path / "in.csv"
    file.write_text("\n".join(["id,text", *rows]))
    return file


def score(table: Path, **options: Any) -> Path:
    """
    Score the table; the output's folder.
    """
    given: dict[str, Any] = {
        "inputs": [str(table)],
        "output": str(table.parent / "out"),
        "column": "text",
        "format": "input",
        "part_bytes": 500,
        "cache": None,
        "model_name": "sentiment",
        "ray": None,
    }
    given |= options
    run(Options(**given))
    return Path(given["output"])


def refusal(table: Path, **options: Any) -> str:
    """
    The one line of a run that fails.
    """
    with pytest.raises(Failure) as failure:
        score(table, **options)
    assert "\n" not in str(failure.value)
    return str(failure.value)


def content_of(folder: Path) -> dict[str, bytes]:
    """
    All files but the report, whose plots have random names.
    """
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "report.html")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_row_is_there_once(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Each row of the input is in the output or among the rejected, once, in the input's order, and all are counted.
    """
    out = score(table)
    rows = [line for part in sorted((out / "rows").iterdir()) for line in part.read_text().splitlines()[1:]]
    assert [line.split(",")[0] for line in rows] == [str(n) for n in range(ROWS) if n % 10 != 5]
    parts = sorted((out / "rejected").iterdir())
    rejected = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert [row["line"] for row in rejected] == [n + 2 for n in range(ROWS) if n % 10 == 5]
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["finished"], manifest["rows"], manifest["rejected"]) == (True, 270, {"wrong number of cells": 30})
    assert manifest["computed"] == 90
    assert "scored" in capsys.readouterr().out


def test_parts_at_work_at_once_share_what_is_computed(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A text is computed once, though parts that are computed at the same time have it.
    """
    probabilities = FakeEngine.probabilities

    async def slow(self: FakeEngine, texts: Sequence[list[int]]) -> list[list[float]]:
        await asyncio.sleep(0.05)
        return await probabilities(self, texts)

    monkeypatch.setattr(FakeEngine, "probabilities", slow)
    table.write_text("id,text\n" + "".join(f"{number},the same\n{number},only {number}\n" for number in range(100)))
    assert json.loads((score(table) / "manifest.json").read_text())["computed"] == 101


def test_a_second_run_does_nothing(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A finished output is told again and stays as it is.
    """
    out = score(table)
    before = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    content = content_of(out)
    score(table)
    assert content_of(out) == content
    assert {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()} == before
    assert "nothing to do" in capsys.readouterr().out


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """
    A disk with room for so many files, of which the next is cut.
    """
    room = [0]
    put = places.Place._put

    def limited(self: places.Place, path: str, content: bytes) -> None:
        room[0] -= 1
        if room[0] < 0:
            put(self, path, content[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(self, path, content)

    monkeypatch.setattr(places.Place, "_put", limited)
    return room


@pytest.mark.parametrize("room", [0, 1, 2, 3, 4, 7, 20])
def test_a_full_disk_loses_nothing(table: Path, full_disk: list[int], room: int) -> None:
    """
    A full disk is one line, leaves whole files alone, and with room made the run goes on to the same output.
    """
    full_disk[0] = room
    assert os.strerror(errno.ENOSPC) in refusal(table)
    left = content_of(table.parent / "out")
    full_disk[0] = 1000
    whole = content_of(score(table))
    assert all(whole[name] == content for name, content in left.items() if name != "manifest.json")
    assert content_of(score(table, output=str(table.parent / "other"))) == whole


def test_what_is_not_whole_is_done_again(table: Path) -> None:
    """
    A part that is not booked whole, by this version, is scored again; what a killed run left unfinished goes.
    """
    out = score(table)
    before = content_of(out)
    (out / "rows" / "part-000001.csv").write_bytes(b"")
    (out / "rows" / "part-000002.csv").unlink()
    for part, record in enumerate((b"", b"{}", b"[]", b'{"tally": {}, "files": {}}', b'{"tally": {"new": 1}}'), 3):
        (out / "parts" / f"part-{part:06}.json").write_bytes(record)
    (out / "rows" / f".part-000004.csv.{LEFTOVER}").write_bytes(b"half")
    assert content_of(score(table)) == before


def test_what_a_part_computed_may_be_lost(table: Path) -> None:
    """
    Without what a finished part has computed, or with some bytes of it, the next ones compute it themselves.
    """
    out = score(table)
    (out / "computed" / "part-000000.bin").write_bytes(b"cut")
    (out / "computed" / "part-000001.bin").unlink()
    (out / "parts" / "part-000002.json").unlink()
    manifest = json.loads((score(table) / "manifest.json").read_text())
    assert (manifest["rows"], manifest["finished"]) == (270, True)


def test_a_manifest_says_what_is_missing(table: Path, full_disk: list[int]) -> None:
    """
    An output of which a part is gone is not called finished until that part is there again.
    """
    full_disk[0] = 1000
    out = score(table)
    (out / "parts" / "part-000002.json").unlink()
    full_disk[0] = 1
    refusal(table)
    assert not json.loads((out / "manifest.json").read_text())["finished"]


def test_any_finished_parts_make_no_difference(table: Path) -> None:
    """
    Whichever parts a run finds finished, in whatever order they were, its output is that of a run that finds none.
    """
    table.write_text("id,text\n" + "".join(f"{number},{'x' * (number * 37 % 91)}\n" for number in range(300)))
    out = score(table)
    before = content_of(out)
    parts = sorted((out / "parts").iterdir())
    for lost in (parts[:3], parts[1::2], parts[-2:], parts):
        for record in lost:
            record.unlink()
        assert content_of(score(table)) == before


def test_a_hidden_folder_keeps_its_output(table: Path) -> None:
    """
    An output below a hidden folder is no leftover.
    """
    hidden = str(table.parent / ".hidden" / "out")
    score(table, output=hidden)
    before = content_of(Path(hidden))
    score(table, output=hidden)
    assert content_of(Path(hidden)) == before != {}


def test_another_job_is_refused(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An output goes on with its own column, format, parts, model and input alone; the refusal says which is another.
    """
    out = score(table)
    before = content_of(out)
    assert "--column" in refusal(table, column="id")
    assert "--format" in refusal(table, format="parquet")
    assert "--part-bytes" in refusal(table, part_bytes=501)
    with monkeypatch.context() as patch:
        patch.setenv("NUMERIC_MODE", "bf16")
        assert "NUMERIC_MODE" in refusal(table)
    table.write_text(table.read_text() + "\n7,new")
    assert "INPUT" in refusal(table)
    assert content_of(out) == before


def test_foreign_files_are_left_alone(table: Path) -> None:
    """
    A folder of somebody else's files is no output, nor is a file; hidden files of others in an output stay.
    """
    before = content_of(table.parent)
    assert "another OUTPUT" in refusal(table, output=str(table.parent))
    assert "is a file; OUTPUT" in refusal(table, output=str(table))
    assert content_of(table.parent) == before
    hidden = score(table) / "rows" / ".nfs0001"
    hidden.touch()
    score(table)
    assert hidden.exists()


def test_killed_before_the_first_part(table: Path) -> None:
    """
    An output with nothing but what was left by a run that was killed while it began is free.
    """
    out = table.parent / "out"
    out.mkdir()
    (out / f".manifest.json.{LEFTOVER}").write_bytes(b"half")
    expected = content_of(score(table, output=str(table.parent / "other")))
    assert content_of(score(table)) == expected


def test_one_run_at_a_time(table: Path) -> None:
    """
    A run is refused while another is at work in its output, which it leaves alone, and goes on after that.
    """
    out = table.parent / "out"
    with locked(place_of(str(out))):
        assert "another run is at work" in refusal(table)
        assert content_of(out) == {}
    score(table)


def test_an_input_that_changes_is_told(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An input that has other rows than at first is told, and not booked, though its file system has no times.
    """
    start, changed_ns = here.run, table.stat().st_mtime_ns

    def changed(*args: Any) -> float:
        table.write_text("id,text\n1,x\n")
        os.utime(table, ns=(changed_ns, changed_ns))
        return start(*args)

    monkeypatch.setattr(here, "run", changed)
    assert "has changed" in refusal(table)


def test_an_input_that_is_written_to_is_told(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of an input that is written to nothing more is scored, though it has as many rows; what was scored before is right.
    """
    start, content = here.run, table.read_text()

    def written(*args: Any) -> float:
        table.write_text(content.replace("1,", "9,", 1))
        return start(*args)

    with monkeypatch.context() as patch:
        patch.setattr(here, "run", written)
        assert "was written to" in refusal(table)
    assert set(content_of(table.parent / "out")) == {"manifest.json"}
    assert "has changed since" in refusal(table)
    table.write_text(content)
    assert b"\n1," in content_of(score(table))["rows/part-000000.csv"]


@pytest.mark.usefixtures("own_logs")
@pytest.mark.parametrize(
    ("content", "status"),
    [("id,text\n1,x\n2\n", 0), ("id,text\n", 0), ("id,text\n1\n2\n", 3), ("id,other\n1,x\n", 1)],
)
def test_the_exit_status(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, status: int
) -> None:
    """
    A pipeline goes on if all that can be scored is, and stops, with one line that says why, if that is no row.
    """
    table.write_text(content)
    monkeypatch.setattr(sys, "argv", ["score", str(table), str(table.parent / "out"), "--column", "text"])
    assert command.main() == status
    assert capsys.readouterr().err.count("\n") == bool(status)


def test_a_summary_that_nobody_reads(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A summary that cannot be printed is told, and the output is finished all the same.
    """
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert "stdout" in refusal(table)
    assert json.loads((table.parent / "out" / "manifest.json").read_text())["finished"]


def test_files_and_patterns(table: Path) -> None:
    """
    Files, folders and patterns name the same files, hidden ones and the output left out; several formats are refused.
    """
    folder = table.parent / "many"
    (folder / "below").mkdir(parents=True)
    for name in ("a.csv", "below/b.csv", ".c.csv", "_d.csv"):
        (folder / name).write_text(f"id,text\n1,{name}\n")
    expected = content_of(score(table, inputs=[str(folder)], output=str(folder / "out")))
    assert json.loads(expected["manifest.json"])["rows"] == 2
    assert content_of(score(table, inputs=[str(folder)], output=str(folder / "out"))) == expected
    patterns = [str(folder / "[ab].csv"), str(folder / "*" / "b.csv")]
    out = score(table, inputs=patterns, output=str(table.parent / "patterns"))
    assert json.loads((out / "manifest.json").read_text())["rows"] == 2
    (folder / "e.jsonl").write_text("")
    assert "several formats" in refusal(table, inputs=[str(folder)], output=str(folder / "out"))
    (folder / "e.txt").write_text("")
    assert "e.txt" in refusal(table, inputs=[str(folder)], output=str(folder / "out"))
    assert "no such file" in refusal(table, inputs=[str(folder / "nothing")])
    (folder / "other.csv").write_text("text,id\n")
    assert "other.csv" in refusal(table, inputs=[str(folder / "*.csv")])


def test_an_input_without_rows(table: Path) -> None:
    """
    An input without rows has an output without parts.
    """
    table.write_text("id,text\n")
    assert {path.name for path in score(table).iterdir()} == {"manifest.json", "report.html"}


def test_the_report_loads_nothing(table: Path) -> None:
    """
    The report is one file: no script, nothing of another host, and no markup out of names.
    """
    odd = table.rename(table.parent / "<script>.csv")
    html = (score(odd) / "report.html").read_text()
    assert "<script" not in html
    assert "src=" not in html
    assert 'href="' not in html.replace('href="#', "")
    assert html.count("<svg") == 3
