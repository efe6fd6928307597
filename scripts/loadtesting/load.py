"""
k6 at work on a scenario, watched.
"""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from loadtesting.progress import shown
from loadtesting.recording import Recording
from loadtesting.scenario import Scenario
from loadtesting.usage import Usage
from local import k6
from local.supervisor import Failure

_GRACE_SECONDS = 30  # k6's, for the last answers; hardly ever needed
_BROKEN_THRESHOLD = 99
_MOST_MOMENTS = 300
_STATISTICS = "avg,min,med,p(90),p(95),p(99),max"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


class Load:
    """
    A scenario's load.

    Args:
        environment: what the script is told.
        folder: for what k6 writes meanwhile.

    Raises:
        Failure: there is no k6, or it refuses the script as it is told.
    """

    def __init__(self, scenario: Scenario, environment: Mapping[str, str], folder: Path) -> None:
        self._scenario = scenario
        self._k6 = k6.find()
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._seconds = self._expected_seconds()
        self.recording = Recording(folder / "record")
        self.usage: Usage

    def run(self, url: str, processes: Mapping[str, psutil.Process]) -> dict[str, dict[str, Any]]:
        """
        Load the service at a URL, and watch these processes and k6.

        Returns:
            k6's summary: statistics by metric.

        Raises:
            Failure: k6 could not.
        """
        summary = self._folder / "summary.json"
        command = [self._k6, "run", "--quiet", "--log-format=raw", "--no-usage-report", "--address="]
        command += ["--summary-export", str(summary), "--summary-trend-stats", _STATISTICS, str(self._scenario.script)]
        log = self._folder / "log"
        with log.open("wb") as output:
            process = psutil.Popen(command, env=self._variables(url), stdout=subprocess.DEVNULL, stderr=output)
            try:
                self.usage = Usage({**processes, "k6": process})
                self._watch(process)
            finally:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
                process.wait()
        if process.returncode not in (0, _BROKEN_THRESHOLD):
            raise Failure(f"k6 ended with status {process.returncode}: {_last_line(log.read_text())}")
        metrics: dict[str, dict[str, Any]] = json.loads(summary.read_bytes())["metrics"]
        return metrics

    def _watch(self, process: psutil.Popen) -> None:
        with shown(self._scenario.name, self._seconds) as tell:
            while process.poll() is None:
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(1)
                with contextlib.suppress(psutil.Error):  # k6 has just ended
                    self.usage.look()
                self.recording.read()
                tell(self.recording.moments)

    def _variables(self, url: str) -> dict[str, str]:
        period = max(1, round(self._seconds / _MOST_MOMENTS))
        dashboard = {"PORT": "-1", "PERIOD": f"{period}s", "RECORD": str(self._folder / "record")}
        told = {f"K6_WEB_DASHBOARD_{name}": value for name, value in dashboard.items()}
        return {**self._environment, "URL": url, "K6_WEB_DASHBOARD": "true", **told}

    def _expected_seconds(self) -> float:
        command = [self._k6, "inspect", "--include-system-env-vars", "--log-format=raw", "--execution-requirements"]
        command += [str(self._scenario.script)]
        told = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if told.returncode:
            raise Failure(f"k6 refuses {self._scenario.name}: {_last_line(told.stderr)}")
        span = re.findall(r"([\d.]+)([hms])", json.loads(told.stdout)["totalDuration"])
        return sum(float(count) * _UNITS[unit] for count, unit in span) - _GRACE_SECONDS


def _last_line(log: str) -> str:
    return (log.strip().splitlines() or ["it did not say why"])[-1]
