"""
A load, simulated or real, and what became of it.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

PROCESSES = ("compute", "predictor", "transformer", "redis", "client")


@dataclass(frozen=True)
class Load:
    """
    Requests for a while.

    Attributes:
        warm_up_seconds: before anything counts.
        rate: requests a second at random times; None for clients who ask again once they are answered.
        clients: how many, then.
    """

    warm_up_seconds: float
    seconds: float
    rate: float | None = None
    clients: int = 0

    @property
    def end(self) -> float:
        """
        When the last request comes.
        """
        return self.warm_up_seconds + self.seconds

    def counts(self, due: float) -> bool:
        """
        Whether a request counts that came then.
        """
        return self.warm_up_seconds <= due < self.end


@dataclass
class Outcome:
    """
    What became of requests and their texts.

    Attributes:
        seconds: for how long the load counted.
        latencies: seconds of each request that was answered.
        texts: of the answered requests.
        hits: of those texts, what a cache knew.
        others: requests by status that were not answered, 0 where nothing came back.
        used: core-seconds of each process, and what else was counted.
    """

    seconds: float
    latencies: list[float] = field(default_factory=list)
    texts: int = 0
    hits: int = 0
    others: Counter[int] = field(default_factory=Counter)
    used: dict[str, float] = field(default_factory=dict)

    def answered(self, seconds: float, *, texts: int, hits: int) -> None:
        """
        Count an answer.
        """
        self.latencies.append(seconds)
        self.texts += texts
        self.hits += hits

    @property
    def requests_per_second(self) -> float:
        """
        That were answered.
        """
        return len(self.latencies) / self.seconds

    @property
    def hit_ratio(self) -> float:
        """
        Of the texts.
        """
        return self.hits / self.texts if self.texts else 0.0

    @property
    def refused(self) -> float:
        """
        Share of the requests that were not answered.
        """
        others = sum(self.others.values())
        return others / (others + len(self.latencies)) if others else 0.0

    def latency_ms(self, share: float) -> float:
        """
        Within which so many of the requests were answered.
        """
        return float(np.quantile(self.latencies, share)) * 1e3 if self.latencies else 0.0

    @property
    def cores(self) -> float:
        """
        That were at work on average.
        """
        return sum(self.used.values()) / self.seconds

    @property
    def foreign_cores(self) -> float:
        """
        That others on the machine took from a real load, on average.
        """
        return (self.used["machine"] - sum(self.used[process] for process in PROCESSES)) / self.seconds

    def summary(self) -> dict[str, float]:
        """
        For programs.
        """
        return {
            "requests_per_second": self.requests_per_second,
            "p50_ms": self.latency_ms(0.5),
            "p99_ms": self.latency_ms(0.99),
            "refused": self.refused,
            "cores": self.cores,
        }
