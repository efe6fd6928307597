"""
What a run comes to: the figures that a person asks for, out of k6's.
"""

from dataclasses import dataclass
from statistics import fmean

from loadtesting.run import Run

KINDS = {"cached": "every text cached", "computed": "some text computed"}
STATISTICS = {"min": "fastest", "med": "median", "p(90)": "p90", "p(95)": "p95", "p(99)": "p99", "max": "slowest"}
PHASES = {
    "receive": "let in, and the request's body has arrived",
    "parse": "JSON to texts",
    "cache": "looked up in the process's own cache, then in Redis",
    "model": "waiting for the predictor: the way there and back, its queue, the computation",
    "render": "scores to JSON",
    "elsewhere": "before and after: network, waiting to be looked at, k6 itself",
}
_MEANINGS = {
    "0": "no answer: no connection, or a broken one, or k6's patience ended",
    "200": "answered",
    "429": "refused at once, since too much was waiting",
    "502": "the predictor answered nonsense",
    "503": "a part was down or not ready",
    "504": "the predictor was too slow",
}

_DISTURBED = 0.1


@dataclass(frozen=True)
class Latency:
    """
    Milliseconds of the answers of a kind.

    Attributes:
        metric: k6's.
    """

    kind: str
    metric: str
    answers: int
    statistics: dict[str, float]


@dataclass(frozen=True)
class Phase:
    """
    A phase of the requests of a kind, milliseconds.

    Attributes:
        share: of the whole requests' mean.
    """

    name: str
    mean: float
    p99: float
    share: float


@dataclass(frozen=True)
class Process:
    """
    What a process used: cores, and MiB.
    """

    name: str
    cores: float
    most_cores: float
    first_mib: float
    last_mib: float


@dataclass(frozen=True)
class Figures:
    """
    Figures of a run.
    """

    run: Run

    def of(self, metric: str, statistic: str) -> float:
        """
        One of k6's figures; 0 where nothing was counted.
        """
        value: float = self.run.metrics.get(metric, {}).get(statistic, 0)
        return value

    @property
    def requests(self) -> int:
        """
        Those that were sent.
        """
        return int(self.of("http_reqs", "count"))

    @property
    def dropped(self) -> int:
        """
        Those that k6 never sent, since it had no free client.
        """
        return int(self.of("dropped_iterations", "count"))

    @property
    def hit_ratio(self) -> float | None:
        """
        Share of the texts that the cache knew; None where nobody says.
        """
        texts = self.of("texts", "count")
        return self.of("texts_cached", "count") / texts if texts else None

    @property
    def statuses(self) -> list[tuple[str, int, str]]:
        """
        Statuses, how many requests had each, and what it means.
        """
        names = sorted(name.removeprefix("status_") for name in self.run.metrics if name.startswith("status_"))
        return [(name, int(self.of(f"status_{name}", "count")), _MEANINGS.get(name, "")) for name in names]

    @property
    def latencies(self) -> list[Latency]:
        """
        Of all answers, and by kind.
        """
        kinds = [("all", "latency", "status_200")]
        kinds += [(words, f"latency_{kind}", f"requests_{kind}") for kind, words in KINDS.items()]
        return [
            Latency(words, metric, int(self.of(counter, "count")), {name: self.of(metric, name) for name in STATISTICS})
            for words, metric, counter in kinds
            if self.of(counter, "count")
        ]

    def phases(self, kind: str) -> list[Phase]:
        """
        Where the time of a kind's requests goes.
        """
        whole = self.of(f"latency_{kind}", "avg")
        found = {name: self.run.metrics.get(f"{kind}_{name}") for name in PHASES}
        return [
            Phase(name, times["avg"], times["p(99)"], times["avg"] / whole) for name, times in found.items() if times
        ]

    @property
    def processes(self) -> list[Process]:
        """
        By name; the last is the rest of the machine, of which memory is not known.
        """
        looks = self.run.looks
        if not looks:
            return []
        known = [
            Process(
                name,
                fmean(look.cores[name] for look in looks),
                max(look.cores[name] for look in looks),
                looks[0].memory_mib[name],
                looks[-1].memory_mib[name],
            )
            for name in looks[0].cores
        ]
        return [*known, Process("everything else", self.others, max(look.others for look in looks), 0, 0)]

    @property
    def others(self) -> float:
        """
        Cores that the rest of this machine used, which the service and k6 then lacked.
        """
        return fmean(look.others for look in self.run.looks) if self.run.looks else 0

    @property
    def disturbance(self) -> str:
        """
        In words, where that was so much that the figures are not the service's own; else empty.
        """
        if self.others <= self.run.cores * _DISTURBED:
            return ""
        busy = f"kept {self.others:.1f} of the {self.run.cores} cores busy meanwhile"
        if self.run.url:
            return f"Something beside k6 {busy}; unless it was the service, the figures would be better without it."
        return f"Something else {busy}: undisturbed, the figures would be better."
