"""
What is promised, and alerts on how fast the promise is being broken.

Alerts are by burn rate over several windows (Google, The Site Reliability Workbook, chapter 5): a burn of 1 uses up
the 30 days' budget in 30 days. The long window says that it matters, the short one that it still goes on. Where few
ask, a share alone says little: at least `FEWEST_BAD` requests must have been bad in the long window. A floor of
requests would keep silent about a night in which every one of them fails.
"""

from dataclasses import dataclass
from typing import Literal

from monitoring.promql import ERRORS, PREDICTIONS, TRANSFORMER
from monitoring.rule import Alert, Record


@dataclass(frozen=True, slots=True)
class Objective:
    """
    A promise over 30 days.

    Attributes:
        budget: the share of requests that may break it.
        promise: in words.
        asked: how many requests it is about, by `GROWTH` (rate or increase) within `WINDOW`.
        bad: how many of them break it.
    """

    name: str
    budget: float
    promise: str
    asked: str
    bad: str


@dataclass(frozen=True, slots=True)
class Burn:
    """
    How fast a budget may be used up before somebody is told.

    Attributes:
        windows: long window, short window, and the burn rate that both must exceed; one of them is enough.
    """

    name: str
    severity: Literal["critical", "warning"]
    lasts: str
    windows: tuple[tuple[str, str, float], ...]
    says: str


def _growth(series: str) -> str:
    return f"sum by (namespace) (GROWTH({series}[WINDOW]))"


_ASKED = _growth(f"{TRANSFORMER}_requests_total{{{PREDICTIONS}}}")
_FAILED = _growth(f"{TRANSFORMER}_requests_total{{{PREDICTIONS}, {ERRORS}}}")
_ANSWERED = _growth(f"{TRANSFORMER}_request_seconds_count")
_SWIFT = _growth(f'{TRANSFORMER}_request_seconds_bucket{{le="0.25"}}')
OBJECTIVES = (
    Objective(
        "availability",
        0.001,
        "99.9 % of the predictions asked for are not answered with a fault of ours (5xx)",
        _ASKED,
        _FAILED,
    ),
    Objective(
        "latency",
        0.01,
        "99 % of the predictions are answered within 250 ms",
        _ANSWERED,
        f"({_ANSWERED} - {_SWIFT})",
    ),
)
BURNS = (
    Burn(
        "Fast", "critical", "2m", (("1h", "5m", 14.4), ("6h", "30m", 6)), "It will be used up in days, if not in hours."
    ),
    Burn(
        "Slow", "warning", "1h", (("1d", "2h", 3), ("3d", "6h", 1)), "It will be used up before its 30 days are over."
    ),
)
FEWEST_BAD = 10
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_LONG_WINDOWS = tuple(long for burn in BURNS for long, _, _ in burn.windows)


def records() -> list[Record]:
    """
    The share of bad requests by objective and window, and how many they were.
    """
    shares = [
        _record(objective, f"ratio_rate{window}", f"{objective.bad} / {objective.asked}", "rate", window)
        for objective in OBJECTIVES
        for window in _WINDOWS
    ]
    counts = [
        _record(objective, f"increase{window}", objective.bad, "increase", window)
        for objective in OBJECTIVES
        for window in _LONG_WINDOWS
    ]
    return [*shares, *counts]


def alerts() -> list[Alert]:
    """
    An alert for each objective and each way to burn its budget.
    """
    return [
        Alert(
            f"Sentiment{objective.name.title()}Burns{burn.name}",
            " or ".join(_burning(objective, *windows) for windows in burn.windows),
            burn.lasts,
            burn.severity,
            f"The {objective.name} budget burns {burn.name.lower()}",
            f"The promise: {objective.promise}. {{{{ $value | humanizePercentage }}}} were not."
            f" The 30 days' budget is {objective.budget * 100:g} %. {burn.says}",
        )
        for objective in OBJECTIVES
        for burn in BURNS
    ]


def _record(objective: Objective, operation: str, expr: str, growth: str, window: str) -> Record:
    expr = expr.replace("GROWTH", growth).replace("WINDOW", window)
    return Record(f"sentiment:slo_bad:{operation}", expr, {"slo": objective.name})


def _burning(objective: Objective, long: str, short: str, burn: float) -> str:
    of_objective = f'{{slo="{objective.name}"}}'
    limit = f"{burn:g} * {objective.budget:g}"
    return (
        f"(sentiment:slo_bad:ratio_rate{long}{of_objective} > {limit}"
        f" and sentiment:slo_bad:ratio_rate{short}{of_objective} > {limit}"
        f" and sentiment:slo_bad:increase{long}{of_objective} >= {FEWEST_BAD})"
    )
