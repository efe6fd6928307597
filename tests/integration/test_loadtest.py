"""
`scripts/loadtest`: k6's scenarios on a real stack, and the report of a run.
"""

import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtesting.figures import STATISTICS, Figures
from loadtesting.page import page
from loadtesting.run import Run, load
from loadtesting.scenario import scenarios
from loadtesting.words import ms, number, percent
from local import k6
from local.supervisor import Failure
from processes import ROOT, free_port, until

SCRIPT = [sys.executable, str(ROOT / "scripts" / "loadtest.py")]
PROCESSES = ["transformer", "predictor", "Redis", "k6"]


@pytest.fixture(scope="module", autouse=True)
def _k6() -> None:
    """
    What all of this needs.
    """
    try:
        k6.find()
    except Failure as failure:
        pytest.skip(str(failure))


def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """
    Run the script.
    """
    command = [*SCRIPT, *map(str, arguments)]
    environment = {**os.environ, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)


def refusal(*arguments: object) -> str:
    """
    The one line of a run that cannot be made.
    """
    result = run(*arguments)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The report of a short run on a stack of its own; it passed or broke a threshold, as the machine's pace wants it.
    """
    folder = tmp_path_factory.mktemp("loadtest")
    result = run("zipf", "--duration", "3s", "--rate", "20", "--out", folder)
    assert result.returncode == ("BROKEN" in result.stdout), result.stderr
    return folder


@pytest.fixture(scope="module")
def measured(out: Path) -> Run:
    """
    The same, as it is kept.
    """
    return load(out / "run.json", "zipf")


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    """
    Its page.
    """
    return (out / "report.html").read_text()


def cells(html: str, heading: str) -> list[list[str]]:
    """
    The rows of the table under a heading, as text.
    """
    [table] = re.findall(rf"<h2>{re.escape(heading)}.*?<table>(.*?)</table>", html, re.DOTALL)
    rows = re.split(r"<tr>", table)[2:]
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in re.split(r"<td[^>]*>", row)[1:]] for row in rows]


@pytest.mark.parametrize("name", scenarios())
def test_scenario_is_sound(name: str) -> None:
    """
    k6 takes each scenario, which has thresholds and its row in the README.
    """
    command = [k6.find(), "inspect", "--execution-requirements", str(scenarios()[name].script)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["thresholds"]
    assert told["maxVUs"]
    assert f"| `{name}` |" in (ROOT / "loadtest" / "README.md").read_text()


@pytest.mark.parametrize("name", [name for name, scenario in scenarios().items() if scenario.takes_rate])
def test_duration_and_rate_are_told(name: str) -> None:
    """
    The duration and the rate that were asked for are those of the scenario.
    """
    environment = {**os.environ, "DURATION": "7s", "RATE": "123"}
    command = [k6.find(), "inspect", "--include-system-env-vars", str(scenarios()[name].script)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    [load] = json.loads(told)["scenarios"].values()
    stages = load.get("stages", [{"target": load.get("rate"), "duration": load.get("duration")}])
    assert (123, "7s") in [(stage["target"], stage["duration"]) for stage in stages]


def test_latencies_are_k6s(measured: Run, html: str) -> None:
    """
    Each latency on the page is k6's own figure.
    """
    rows = {row[0]: row[1:] for row in cells(html, "How long an answer takes")}
    for latency in Figures(measured).latencies:
        figures = measured.metrics[latency.metric]
        assert rows[latency.kind] == [number(latency.answers), *(number(figures[name]) for name in STATISTICS)]
    assert len(rows) == 3


def test_statuses_add_up(measured: Run, html: str) -> None:
    """
    The requests by status are as many as k6 sent.
    """
    rows = cells(html, "What became of the requests")
    sent = sum(int(count.replace(",", "")) for status, count, _ in rows if status != "never sent")
    assert sent == measured.metrics["http_reqs"]["count"]


def test_hit_ratio_is_the_services(measured: Run, html: str) -> None:
    """
    The hit ratio on the page is what the answers' headers said of all their texts.
    """
    texts, cached = (measured.metrics[name]["count"] for name in ("texts", "texts_cached"))
    assert texts == measured.metrics["status_200"]["count"]
    assert f"<b>{percent(cached / texts)}</b>of the texts were cached" in html


def test_phases_are_the_services(measured: Run) -> None:
    """
    The means of the phases of server-timing, with what lies outside, add up to the mean of the latency.
    """
    figures = Figures(measured)
    for kind in ("cached", "computed"):
        names = [phase.name for phase in figures.phases(kind)]
        assert names == ["receive", "parse", "cache", "model", "render", "elsewhere"]
        assert sum(phase.share for phase in figures.phases(kind)) == pytest.approx(1, abs=0.01)


def test_moments_are_k6s(measured: Run) -> None:
    """
    What is drawn over time is within what k6 saw in all.
    """
    assert measured.moments
    answered = sum(moment.answered for moment in measured.moments)
    assert 0 < answered <= measured.metrics["status_200"]["count"]
    worst = measured.metrics["latency"]["max"]
    assert all(moment.p99 is None or moment.p99 <= worst for moment in measured.moments)


def test_processes_are_watched(measured: Run, html: str) -> None:
    """
    The processor time of every process of the stack is told, k6's too.
    """
    assert [row[0] for row in cells(html, "What it costs")] == [*PROCESSES, "everything else"]
    assert all(look.memory_mib["predictor"] > 50 for look in measured.looks)
    assert measured.processor in html


def test_page_loads_nothing(html: str) -> None:
    """
    The page holds all that it shows.
    """
    assert set(re.findall(r"(?:src|href)=\"([^,\"]*)", html)) == {"data:image/svg+xml;base64"}
    assert "<script" not in html
    assert "@import" not in html


def test_picture(out: Path) -> None:
    """
    The picture is a PNG, small enough for a README.
    """
    picture = (out / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000


def test_comparison_shows_ratios(measured: Run) -> None:
    """
    Beside an earlier run the page has both figures and the ratio of now to earlier.
    """
    latency = measured.metrics["latency"]
    slow = {name: 4 * value for name, value in latency.items() if isinstance(value, float)}
    earlier = measured.model_copy(update={"metrics": {**measured.metrics, "latency": {**latency, **slow}}})
    rows = {row[0]: row[1:] for row in cells(page(measured, earlier), "Beside an earlier run")}
    before, now, ratio = rows["p99 latency, all"]
    assert (before, now) == (ms(4 * latency["p(99)"]), ms(latency["p(99)"]))
    assert ratio.startswith("0.25 ")
    assert rows["answers a second"][2].startswith("1.00 ")


@pytest.mark.parametrize("kind", ["cached", "computed"])
def test_run_of_one_kind_has_a_page(measured: Run, kind: str) -> None:
    """
    A run whose requests are all cached, or all computed, has its page.
    """
    metrics = {name: values for name, values in measured.metrics.items() if kind not in name.split("_")}
    rows = cells(page(measured.model_copy(update={"metrics": metrics}), None), "How long an answer takes")
    assert len(rows) == 2


def test_stack_that_does_not_start() -> None:
    """
    A stack that ends while it starts makes no run, and the last line names the part whose own lines say why.
    """
    result = run("zipf", MAX_TEXTS="none")
    assert result.returncode == 2
    assert "MAX_TEXTS" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("scripts/loadtest: the predictor did not start")


class Refusing(http.server.BaseHTTPRequestHandler):
    """
    Ready, and too busy for any question.
    """

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(429)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """
    The URL of a service that refuses.
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_broken_threshold_is_the_exit_status(tmp_path: Path) -> None:
    """
    A service that refuses makes a report that says so, and the exit status 1.
    """
    with refusing() as url:
        result = run("stress", "--url", url, "--duration", "1s", "--rate", "5", "--out", tmp_path)
    assert result.returncode == 1, result.stderr
    html = (tmp_path / "report.html").read_text()
    [[status, count, _]] = cells(html, "What became of the requests")
    assert status == "429"
    assert int(count) > 0
    assert "✗ failed" in html
    assert "Not even the first step held" in html


def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    """
    SIGTERM in the middle of a load ends every process that was started, and leaves no file.
    """
    command = [*SCRIPT, "classic", "--duration", "1h", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL) as process:
        running = psutil.Process(process.pid)
        children: set[psutil.Process] = set()

        def loaded() -> bool:
            children.update(running.children())
            return any((folder / "record").exists() for folder in tmp_path.iterdir())

        until(loaded)
        process.terminate()
        assert process.wait() == 130
    assert len(children) >= len(PROCESSES)
    assert [child for child in children if child.is_running()] == []
    assert list(tmp_path.iterdir()) == []


def test_unknown_scenario_names_the_known() -> None:
    """
    A scenario that there is not is refused in one line that names those there are.
    """
    line = refusal("sprint")
    assert "sprint" in line
    assert all(name in line for name in scenarios())


def test_url_that_does_not_answer() -> None:
    """
    A URL where nobody answers is refused in one line that says what to do, before any load.
    """
    url = f"http://127.0.0.1:{free_port()}"
    line = refusal("classic", "--url", url)
    assert url in line
    assert "scripts/serve" in line


def test_users_have_no_rate() -> None:
    """
    A rate for users who wait for their answers is refused.
    """
    assert "--rate" in refusal("classic", "--rate", 5)


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_comparison_with_no_run(tmp_path: Path, content: str | None) -> None:
    """
    What is no run of ours is refused as an earlier one, before any load.
    """
    file = tmp_path / "run.json"
    if content is not None:
        file.write_text(content)
    line = refusal("zipf", "--compare", file)
    assert str(file) in line
    assert "run.json" in line


def test_comparison_with_another_scenario(out: Path) -> None:
    """
    Runs of different scenarios are not compared.
    """
    assert "zipf" in refusal("soak", "--compare", out / "run.json")


def test_no_k6(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without k6 the failure says where to have it from.
    """
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Failure, match="scripts/install loadtest"):
        k6.find()
