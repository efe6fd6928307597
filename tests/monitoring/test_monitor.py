import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from monitoring.boards import BOARDS
from processes import ROOT, free_port, until
from watching.health import Active, active
from watching.prometheus import Prometheus

from .conftest import Stack
from .load import ask_for_a_while

COMMAND = [sys.executable, ROOT / "scripts" / "monitor.py"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
PANELS = [panel for board in BOARDS for row in board.rows if not row.needs for panel in row.panels]


@pytest.fixture(scope="module")
def drawn(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """
    What scripts/monitor has drawn of the live services under load, and what it said meanwhile.
    """
    folder = tmp_path_factory.mktemp("monitor")
    load = threading.Thread(target=ask_for_a_while, args=(stack.public, stack.lonely))
    load.start()
    result = _run("--for", "8", "--out", str(folder), *_addresses(stack))
    load.join()
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def _addresses(stack: Stack) -> list[str]:
    return ["--transformer", stack.public.url, "--transformer", stack.lonely.url, "--predictor", stack.model.url]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_every_panel_is_drawn(drawn: tuple[Path, str]) -> None:
    """
    Every panel of what is in use has a picture in a file and on the page, and data in it; there are no others.
    """
    folder, said = drawn
    pictures = [file.read_bytes() for file in folder.glob("*/*.png")]
    assert len(pictures) == len(PANELS)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert (folder / "index.html").read_text().count("<figure") == len(PANELS)
    assert "without data" not in said


def test_page_loads_nothing(drawn: tuple[Path, str]) -> None:
    """
    The page is whole by itself.
    """
    page = (drawn[0] / "index.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []
    assert "<script" not in page


def test_alert_is_seen(prometheus: Prometheus) -> None:
    """
    An alert that holds is known by its name, by whom it is about, and by what it says.
    """
    found: list[Active] = []

    def holds() -> bool:
        found[:] = [alert for alert in active(prometheus) if alert.name == "SentimentPredictorLeftAlone"]
        return bool(found)

    until(holds)
    [alert] = found
    assert "pod sentiment-transformer-1" in alert.about
    assert alert.annotations["summary"] == "A transformer cannot reach the predictor"


def test_ctrl_c(stack: Stack, tmp_path: Path) -> None:
    """
    Ctrl-C ends it, and Prometheus with it, without a complaint.
    """
    command = [*COMMAND, "--out", str(tmp_path), *_addresses(stack)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout
        for line in monitor.stdout:
            if line.startswith("watching"):
                monitor.send_signal(signal.SIGINT)
                break
        assert "prometheus   stopped" in monitor.stdout.read()
    assert monitor.returncode == 0


def test_nobody_there() -> None:
    """
    Where no service is, one line says so, and how to name another.
    """
    url = f"http://127.0.0.1:{free_port()}"
    result = _run("--transformer", url)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith(f"scripts/monitor: no transformer at {url}")
    assert "--transformer" in line
