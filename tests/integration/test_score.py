"""
What `scripts/score` makes of a corpus with the real model, killed or not, with a cache, on Ray.
"""

import csv
import io
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from processes import ROOT, Process, Redis, until
from transformer import entry

COMMAND = [sys.executable, str(ROOT / "scripts" / "score.py")]
SENTENCE = "a dull film with one fine scene and no end , or is it the other way round ? nobody who saw it can tell"
KILLS = 5


def corpus(folder: Path, rows: int) -> Path:
    """
    Texts of SST-2's lengths; every fifth comes again.
    """
    chance = random.Random(0)
    file = folder / "corpus.csv"
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["id", "text"])
        for number in range(rows):
            if number % 5 or not number:
                text = " ".join(chance.choices(SENTENCE.split(), k=chance.randint(1, 40)))
            writer.writerow([number, text])
    return file


def score(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """
    Run the script.
    """
    command = [*COMMAND, *map(str, arguments), "--column", "text"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def rows_of(out: Path) -> list[dict[str, Any]]:
    """
    The scored rows, in order.
    """
    parts = (io.StringIO(part.read_text(), newline="") for part in sorted((out / "rows").iterdir()))
    return [row for part in parts for row in csv.DictReader(part)]


def manifest_of(out: Path) -> dict[str, Any]:
    """
    The manifest.
    """
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return manifest


def assert_same(out: Path, expected: Path) -> None:
    """
    Both have the same rows in the same files; scores are equal as answers of one model are, to 1e-5.
    """
    files = [sorted(path.name for path in (folder / "rows").iterdir()) for folder in (out, expected)]
    assert files[0] == files[1]
    for row, other in zip(rows_of(out), rows_of(expected), strict=True):
        for name, cell in row.items():
            if name.startswith("score_"):
                assert float(cell) == pytest.approx(float(other[name]), abs=1e-5)
            else:
                assert cell == other[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A corpus, and what an uninterrupted run makes of it.
    """
    folder = tmp_path_factory.mktemp("score")
    result = score(corpus(folder, 600), folder / "whole", "--part-bytes", 1500)
    assert result.returncode == 0, result.stderr
    return folder


def test_killed_at_random_and_resumed(folder: Path) -> None:
    """
    Killed five times at random, a run goes on where it was: no finished part changes, and no row is lost or doubled.
    """
    out = folder / "killed"
    command = [*COMMAND, str(folder / "corpus.csv"), str(out), "--column", "text", "--part-bytes", "1500"]
    finished: dict[str, tuple[int, bytes]] = {}
    chance = random.Random()
    for _ in range(KILLS):
        more = len(finished) + chance.randint(1, 3)
        with Process(command) as process:
            until(lambda: process.popen.poll() is not None or len(booked(out)) >= more)  # noqa: B023  # used at once
        now = booked(out)
        assert {name: now[name] for name in finished} == finished
        finished = now
    assert score(folder / "corpus.csv", out, "--part-bytes", 1500).returncode == 0
    assert {name: booked(out)[name] for name in finished} == finished
    assert_same(out, folder / "whole")
    assert {**manifest_of(out), "computed": 0} == {**manifest_of(folder / "whole"), "computed": 0}


def booked(out: Path) -> dict[str, tuple[int, bytes]]:
    """
    What is known of each finished part, and when it was written.
    """
    files = (path for path in out.glob("parts/*.json"))
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_answers_are_the_models(folder: Path) -> None:
    """
    Every row of the corpus is there with its cells, the better label, and scores that sum to one.
    """
    with (folder / "corpus.csv").open(newline="") as table:
        expected = list(csv.DictReader(table))
    rows = rows_of(folder / "whole")
    assert [(row["id"], row["text"]) for row in rows] == [(row["id"], row["text"]) for row in expected]
    for row in rows:
        scores = {label: float(row[f"score_{label}"]) for label in ("NEGATIVE", "POSITIVE")}
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(scores, key=scores.__getitem__)
    assert manifest_of(folder / "whole")["computed"] < len(rows)


def test_the_cache_is_the_services(tmp_path: Path) -> None:
    """
    With `--cache` the answers are entries of the service's, and known ones are not computed.
    """
    with Redis() as server, redis.Redis.from_url(server.url) as client:
        (tmp_path / "texts.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
        assert score(tmp_path, tmp_path / "out", "--cache", server.url).returncode == 0
        revision = manifest_of(tmp_path / "out")["job"]["revision"]
        keys = [entry.key_of("sentiment", revision, text) for text in ("one", "two")]
        [row] = [entry.unpack(keys[0], client.get(keys[0]), 2)]  # type: ignore[arg-type]
        written = json.loads((tmp_path / "out" / "rows" / "part-000000.jsonl").read_text().splitlines()[0])
        assert row == pytest.approx((written["score_NEGATIVE"], written["score_POSITIVE"]))
        client.set(keys[1], entry.pack(keys[1], (0.25, 0.75)))
        assert score(tmp_path / "texts.jsonl", tmp_path / "again", "--cache", server.url).returncode == 0
    assert manifest_of(tmp_path / "again")["computed"] == 0
    assert '"score_POSITIVE": 0.75' in (tmp_path / "again" / "rows" / "part-000000.jsonl").read_text()


def test_ray_scores_the_same(folder: Path) -> None:
    """
    On Ray the output is the same, and a run on Ray goes on where one without it ended.
    """
    pytest.importorskip("ray", reason="Ray is an extra")
    out = folder / "ray"
    command = [*COMMAND, str(folder / "corpus.csv"), str(out), "--column", "text", "--part-bytes", "1500"]
    with Process(command):
        until(lambda: len(booked(out)) > 0)
    before = booked(out)
    result = score(folder / "corpus.csv", out, "--part-bytes", 1500, "--ray", "local")
    assert result.returncode == 0, result.stderr
    assert {name: booked(out)[name] for name in before} == before
    assert_same(out, folder / "whole")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["corpus.csv", "new", "--cache", "redis://127.0.0.1:1"], "--cache"),
        (["missing.csv", "new"], "missing.csv"),
        (["whole", "new"], "its name ends in none of"),
    ],
)
def test_refusals_are_one_line(folder: Path, arguments: list[str], told: str) -> None:
    """
    What cannot be scored is told in one line, and leaves nothing behind.
    """
    one, two, *options = arguments
    result = score(folder / one, folder / two, *options)
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert told in line
    assert not (folder / "new").exists()
