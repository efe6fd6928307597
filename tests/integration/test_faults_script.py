"""
`scripts/faults`, and by its short form the table of faults that the service survives.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from fault.rows import ROWS
from processes import ROOT, until

SCRIPT = [sys.executable, str(ROOT / "scripts" / "faults.py")]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """
    The verdicts of the short form, by row.
    """
    file = tmp_path_factory.mktemp("faults") / "verdicts.json"
    result = subprocess.run([*SCRIPT, "--short", "--json", str(file)], capture_output=True, text=True, check=False)
    assert file.exists(), result.stderr
    verdicts = json.loads(file.read_text())
    assert result.returncode == (0 if verdicts["held"] else 1)
    return {row["row"]: row for row in verdicts["rows"]}


@pytest.mark.parametrize("name", ROWS)
def test_fault_is_survived(rows: dict[str, Any], name: str) -> None:
    """
    Under this fault and a load of hits and misses no answer is wrong, and none is an error that need not be.
    """
    assert [check for check in rows[name]["checks"] if check["counts"] and not check["held"]] == []
    assert rows[name]["held"]
    assert rows[name]["requests"] > 0


def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    """
    Ctrl-C in the middle of a fault ends every process that was started, and removes every file.
    """
    command = [*SCRIPT, "--short", "redis-hung"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL) as process:
        running = psutil.Process(process.pid)
        children: set[psutil.Process] = set()

        def hung() -> bool:
            children.update(running.children(recursive=True))
            return any(child.is_running() and child.status() == psutil.STATUS_STOPPED for child in children)

        until(hung)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert [child for child in children if child.is_running()] == []
    assert list(tmp_path.iterdir()) == []


def test_list_names_every_row() -> None:
    """
    `--list` names every row, and starts nothing.
    """
    result = subprocess.run([*SCRIPT, "--list"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(ROWS)


def test_unknown_row_is_one_line() -> None:
    """
    A row that there is not is refused in one line that says where the rows are told.
    """
    result = subprocess.run([*SCRIPT, "redis-sad"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert "redis-sad" in line
    assert "--list" in line
