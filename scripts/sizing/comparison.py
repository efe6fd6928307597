"""
A load as it was predicted and as it was, figure by figure.
"""

import math
from dataclasses import dataclass

from sizing.outcome import PROCESSES, Outcome

_WITHIN_SHARE = 0.2
_WITHIN_POINTS = 2.0


@dataclass(frozen=True)
class Row:
    """
    One figure.

    Attributes:
        paper: as it was worked out without a simulation, where it can be.
        share: whether it is one, and compared in points; other figures are compared as ratios.
        wanted: whether the prediction is held to it: within 20 %, a share within 2 points.
    """

    name: str
    paper: float | None
    simulated: float
    measured: float
    share: bool = False
    wanted: bool = False

    @property
    def off(self) -> float:
        """
        Measured beside simulated: points of difference, or the ratio.
        """
        return self._off(self.simulated)

    @property
    def held(self) -> bool:
        """
        Whether each prediction is as near as it is wanted.
        """
        offs = [self._off(predicted) for predicted in (self.paper, self.simulated) if predicted is not None]
        return all(abs(off) <= _WITHIN_POINTS if self.share else abs(off - 1) <= _WITHIN_SHARE for off in offs)

    def _off(self, predicted: float) -> float:
        if self.share:
            return 100 * (self.measured - predicted)
        return self.measured / predicted if predicted else math.nan


@dataclass(frozen=True)
class Comparison:
    """
    All figures of a load.
    """

    name: str
    rows: tuple[Row, ...]

    @property
    def held(self) -> bool:
        """
        Whether all that is wanted is.
        """
        return all(row.held for row in self.rows if row.wanted)


def compare(name: str, *, rate: float | None, hits: float, simulated: Outcome, measured: Outcome) -> Comparison:
    """
    Compare outcomes.

    Args:
        rate, hits: requests a second, if that can be told, and hit ratio, on paper.
    """
    rows = [
        Row("requests/s", rate, simulated.requests_per_second, measured.requests_per_second, wanted=True),
        Row("hit ratio", hits, simulated.hit_ratio, measured.hit_ratio, share=True, wanted=True),
        Row("p50, ms", None, simulated.latency_ms(0.5), measured.latency_ms(0.5)),
        Row("p99, ms", None, simulated.latency_ms(0.99), measured.latency_ms(0.99), wanted=True),
        Row("refused", None, simulated.refused, measured.refused, share=True),
    ]
    cores = [
        Row(
            f"cores: {process}",
            None,
            simulated.used[process] / simulated.seconds,
            measured.used[process] / measured.seconds,
        )
        for process in PROCESSES
    ]
    return Comparison(name, (*rows, *cores, Row("cores: others", None, 0.0, measured.foreign_cores)))
