"""
A run beside an earlier one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtesting.figures import Figures
from loadtesting.words import ms, number, percent

_COMPARED = {"med": "median", "p(95)": "p95", "p(99)": "p99"}


@dataclass(frozen=True)
class Row:
    """
    A figure of both.

    Attributes:
        words: how it is written.
    """

    name: str
    earlier: float
    now: float
    words: Callable[[float], str]

    @property
    def ratio(self) -> str:
        """
        How many times the earlier one it is now.
        """
        return f"{self.now / self.earlier:.2f}" if self.earlier else ""


def compared(earlier: Figures, now: Figures) -> list[Row]:
    """
    The figures that say most.
    """
    return list(_rows(earlier, now))


def _rows(earlier: Figures, now: Figures) -> Iterator[Row]:
    def of(name: str, metric: str, statistic: str, words: Callable[[float], str]) -> Row:
        return Row(name, earlier.of(metric, statistic), now.of(metric, statistic), words)

    yield of("answers a second", "status_200", "rate", number)
    yield of("requests that failed", "http_req_failed", "value", percent)
    if earlier.hit_ratio is not None and now.hit_ratio is not None:
        yield Row("texts that were cached", earlier.hit_ratio, now.hit_ratio, percent)
    for latency in now.latencies:
        for statistic, name in _COMPARED.items():
            yield of(f"{name} latency, {latency.kind}", latency.metric, statistic, ms)
    before = {process.name: process.cores for process in earlier.processes}
    for process in now.processes:
        if process.name in before:
            yield Row(f"cores of {process.name}, mean", before[process.name], process.cores, number)
