"""
A Prometheus of our own for as long as somebody watches: it scrapes services and evaluates our rules.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from local.supervisor import Child, Failure, Pause, free_port

RULES = Path(__file__).resolve().parents[2] / "monitoring" / "rules.yaml"
NAMESPACE = "local"
START_SECONDS = 60
ANSWER_SECONDS = 30
# To read the certificates for every question takes longer than the question.
_TLS = httpx.create_ssl_context()


@dataclass(frozen=True)
class Prometheus:
    """
    A running Prometheus.
    """

    url: str
    process: Child

    def get(self, path: str, **params: str | float) -> dict[str, Any]:
        """
        What its API answers.

        Raises:
            Failure: with its words, if it does not like the question; or it does not answer.
        """
        try:
            answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=ANSWER_SECONDS, verify=_TLS)
        except httpx.TransportError as error:
            raise Failure(f"Prometheus does not answer: {error}") from None
        if not answer.is_success:
            raise Failure(f"Prometheus refuses {params or path}: {answer.text}")
        data: dict[str, Any] = answer.json()["data"]
        return data

    def now(self, expr: str) -> list[Any]:
        """
        The series that an expression gives now, those alone that have a value.
        """
        return [series for series in self.get("query", query=expr)["result"] if series["value"][1] != "NaN"]

    def over(self, expr: str, start: float, end: float, step: float) -> list[Any]:
        """
        The series that an expression gives over time.

        Args:
            start, end: seconds of the epoch.
        """
        series: list[Any] = self.get("query_range", query=expr, start=start, end=end, step=step)["result"]
        return series


def find() -> str:
    """
    Find its program.

    Raises:
        Failure: there is none.
    """
    path = shutil.which("prometheus")
    if path is None:
        raise Failure("no prometheus on the PATH; Debian's and Homebrew's package is called prometheus")
    return path


def start(
    targets: Mapping[str, Sequence[str]],
    children: contextlib.ExitStack,
    pause: Pause,
    *,
    interval_seconds: float,
) -> Prometheus:
    """
    Start one that forgets everything at its end.

    Args:
        targets: URLs of services, by the job's name.
        interval_seconds: from scrape to scrape, and from evaluation to evaluation.

    Raises:
        Failure: there is no program of that name, or it does not start.
    """
    program = find()
    folder = Path(children.enter_context(tempfile.TemporaryDirectory(prefix="sentiment-prometheus-")))
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(_config(targets, interval_seconds)))
    address = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        "--log.level=error",
    ]
    process = Child.start("prometheus", command, folder=folder, environment=os.environ)
    children.callback(process.stop)
    process.await_ready(lambda: _ready(address), pause, START_SECONDS)
    return Prometheus(f"http://{address}", process)


def filled(expr: str, rate_seconds: float) -> str:
    """
    A panel's expression with Grafana's variables filled in.
    """
    return expr.replace("$__rate_interval", f"{rate_seconds * 1000:.0f}ms").replace("$namespace", ".*")


def _config(targets: Mapping[str, Sequence[str]], interval_seconds: float) -> dict[str, Any]:
    interval = f"{interval_seconds * 1000:.0f}ms"
    every = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    jobs = [
        {"job_name": job, "static_configs": [_target(f"{job}-{number}", url) for number, url in enumerate(urls)]}
        for job, urls in targets.items()
    ]
    return {"global": every, "rule_files": [str(RULES)], "scrape_configs": jobs}


def _target(pod: str, url: str) -> dict[str, Any]:
    """
    A service with the labels that it would have in a cluster.
    """
    parts = urlsplit(url)
    labels = {"__scheme__": parts.scheme, "__metrics_path__": f"{parts.path.rstrip('/')}/metrics"}
    return {"targets": [parts.netloc], "labels": {**labels, "namespace": NAMESPACE, "pod": pod}}


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/-/ready", verify=_TLS).is_success
    except httpx.TransportError:
        return False
