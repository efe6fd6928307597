"""
A Prometheus of a test's own.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from processes import ROOT, Process, free_port, until

RULES = ROOT / "monitoring" / "rules.yaml"
INTERVAL = "500ms"


class Prometheus(Process):
    """
    Scrapes services and evaluates rules, every half second.

    Args:
        binary: its program.
        targets: ports of loopback, by the job's name.
        rules: the content of a rule file.
    """

    def __init__(self, binary: str, targets: Mapping[str, Sequence[int]], rules: Mapping[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._targets = targets
        self._rules = rules
        self._binary = binary

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "rules.yaml").write_text(yaml.safe_dump(self._rules))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(self._config()))
        super().__init__(
            [
                self._binary,
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--enable-feature=exemplar-storage",
            ]
        )
        super().__enter__()
        until(self._ready)
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._folder.cleanup()

    def query(self, expr: str) -> list[Any]:
        """
        The series that an expression gives now, those alone that have a value.
        """
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expr})
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        result: list[Any] = answer.json()["data"]["result"]
        return [series for series in result if series["value"][1] != "NaN"]

    def get(self, path: str, **params: str) -> Any:
        """
        What its API answers.
        """
        return httpx.get(f"{self.url}/api/v1/{path}", params=params).raise_for_status().json()["data"]

    def _config(self) -> dict[str, Any]:
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
            for name, ports in self._targets.items()
        ]
        every = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL}
        return {"global": every, "rule_files": ["rules.yaml"], "scrape_configs": jobs}

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False


def plain(expr: str) -> str:
    """
    A panel's expression with Grafana's variables filled in.
    """
    return expr.replace("$__rate_interval", "5m").replace("$namespace", ".*")


def selectors(expr: str) -> set[str]:
    """
    The series that an expression reads; of what may rightly never have happened, an error's status, not the status.
    """
    named = re.findall(r"(?<![\w:\"])([a-z]\w*:[\w:]+|sentiment_\w+|process_\w+|up\b)({[^}]*})?", expr)
    return {name + re.sub(r',? ?status=~?"[^"]*"', "", matchers) for name, matchers in named}
