"""
What the boards show: each panel's curves over the same stretch of time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitoring.board import Panel, Query
from watching.prometheus import Prometheus, filled
from watching.units import told

POINTS = 240
LEAST_RATE_SECONDS = 15
"""A rate is a mean over so long at least: of less than a few scrapes it jumps."""


@dataclass(frozen=True)
class Span:
    """
    A stretch of time, in seconds of the epoch.

    Attributes:
        step: from point to point.
    """

    start: float
    end: float
    step: float

    @classmethod
    def until(cls, end: float, seconds: float, interval_seconds: float) -> "Span":
        """
        The last seconds, in points that are no closer to each other than scrapes are.
        """
        step = max(interval_seconds, seconds / POINTS)
        points = max(1, int(seconds / step))
        return cls(end - points * step, end, step)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """
        The points, the last of which is the end.
        """
        return np.arange(self.start, self.end + self.step / 2, self.step)

    @property
    def rate_seconds(self) -> float:
        """
        What a rate is a mean over.
        """
        return max(LEAST_RATE_SECONDS, 2 * self.step)


@dataclass(frozen=True)
class Curve:
    """
    A series of a panel.

    Attributes:
        values: of each point of time; NaN where there is none.
    """

    name: str
    values: NDArray[np.float64]

    @property
    def latest(self) -> float:
        """
        The value at the end; NaN if it has none.
        """
        return float(self.values[-1])


@dataclass(frozen=True)
class View:
    """
    A panel with what it shows.
    """

    panel: Panel
    span: Span
    curves: tuple[Curve, ...]

    @property
    def told(self) -> str:
        """
        The newest value of its first curve, in words.
        """
        latest = self.curves[0].latest if self.curves else np.nan
        return told(latest, self.panel.unit) if np.isfinite(latest) else "no data"

    @property
    def over_limit(self) -> bool:
        """
        Whether any of its newest values is where it should not be.
        """
        limit = self.panel.limit
        return limit is not None and any(curve.latest >= limit for curve in self.curves)


def look(prometheus: Prometheus, panel: Panel, span: Span) -> View:
    """
    What a panel shows.
    """
    return View(
        panel, span, tuple(curve for query in panel.queries for curve in shown(_curves(prometheus, query, span)))
    )


def shown(curves: Sequence[Curve]) -> list[Curve]:
    """
    The curves of a query but those without a single value, and those that are always 0 where another is not.
    """
    known = [curve for curve in curves if np.isfinite(curve.values).any()]
    return [curve for curve in known if np.nanmax(np.abs(curve.values))] or known


def _curves(prometheus: Prometheus, query: Query, span: Span) -> list[Curve]:
    series = prometheus.over(filled(query.expr, span.rate_seconds), span.start, span.end, span.step)
    return [Curve(legend(query.legend, each["metric"]), _on_points(each["values"], span)) for each in series]


def legend(template: str, labels: dict[str, str]) -> str:
    """
    Grafana's template of a legend, filled in.
    """
    return " ".join(re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), template).split())


def _on_points(samples: list[tuple[float, str]], span: Span) -> NDArray[np.float64]:
    values = np.full(len(span.times), np.nan)
    for time, value in samples:
        values[round((time - span.start) / span.step)] = float(value)
    return values
