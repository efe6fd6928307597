"""
What k6's dashboard records while the load runs, made moments of.

The record has a line an event. A metric is announced once; a snapshot holds the values of all metrics known by then, in
the order of their names.
"""

import json
from pathlib import Path
from typing import Any

from loadtesting.run import Moment

_Values = dict[str, dict[str, float]]


class Recording:
    """
    The record, read as it grows.

    Attributes:
        moments: what it has told by now.
    """

    def __init__(self, path: Path) -> None:
        self.moments: list[Moment] = []
        self._path = path
        self._read_bytes = 0
        self._aggregates: dict[str, list[str]] = {}
        self._types: dict[str, str] = {}
        self._period_seconds = 1.0
        self._began_ms = 0.0

    def read(self) -> None:
        """
        Take in what was written since.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            for line in file:
                if line.endswith(b"\n"):  # else k6 is still writing it
                    self._read_bytes += len(line)
                    self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        data = event["data"]
        match event["event"]:
            case "param":
                self._aggregates, self._period_seconds = data["aggregates"], data["period"] / 1000
            case "metric":
                self._types |= {name: metric["type"] for name, metric in data.items()}
            case "start":
                self._began_ms = self._values(data)["time"]["value"]
            case "snapshot":
                self.moments.append(self._moment(self._values(data)))

    def _values(self, data: list[list[float]]) -> _Values:
        return {
            name: dict(zip(self._aggregates[self._types[name]], values, strict=bool(values)))
            for name, values in zip(sorted(self._types), data, strict=True)
        }

    def _moment(self, values: _Values) -> Moment:
        def a_second(metric: str) -> float:
            return values.get(metric, {}).get("count", 0) / self._period_seconds

        statuses = {name: a_second(name) for name in values if name.startswith("status_")}
        answered, texts = statuses.pop("status_200", 0), a_second("texts")
        latency = values.get("latency", {})
        return Moment(
            seconds=(values["time"]["value"] - self._began_ms) / 1000,
            answered=answered,
            failed=sum(statuses.values()),
            dropped=a_second("dropped_iterations"),
            p50=latency.get("med"),
            p95=latency.get("p(95)"),
            p99=latency.get("p(99)"),
            hit_ratio=a_second("texts_cached") / texts if texts else None,
        )
