"""
What is promised, and alerts on how fast the promise is being broken.

Alerts are by burn rate over several windows (Google, The Site Reliability Workbook, chapter 5): a burn of 1 uses up
the 30 days' budget in 30 days. The long window says that it matters, the short one that it still goes on.
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
        bad: the share that breaks it within `WINDOW`.
    """

    name: str
    budget: float
    promise: str
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


OBJECTIVES = (
    Objective(
        "availability",
        0.001,
        "99.9 % of the predictions asked for are not answered with a fault of ours (5xx)",
        # without a fault yet there is no series of them
        f"(sum by (namespace) (rate({TRANSFORMER}_requests_total{{{PREDICTIONS}, {ERRORS}}}[WINDOW]))"
        f" or 0 * sum by (namespace) (rate({TRANSFORMER}_requests_total{{{PREDICTIONS}}}[WINDOW])))"
        f" / sum by (namespace) (rate({TRANSFORMER}_requests_total{{{PREDICTIONS}}}[WINDOW]))",
    ),
    Objective(
        "latency",
        0.01,
        "99 % of the predictions are answered within 250 ms",
        f'1 - sum by (namespace) (rate({TRANSFORMER}_request_seconds_bucket{{le="0.25"}}[WINDOW]))'
        f" / sum by (namespace) (rate({TRANSFORMER}_request_seconds_count[WINDOW]))",
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
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def records() -> list[Record]:
    """
    The share of bad requests, by objective and window.
    """
    return [
        Record(
            f"sentiment:slo_bad:ratio_rate{window}", objective.bad.replace("WINDOW", window), {"slo": objective.name}
        )
        for objective in OBJECTIVES
        for window in _WINDOWS
    ]


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


def _burning(objective: Objective, long: str, short: str, burn: float) -> str:
    bad = [f'sentiment:slo_bad:ratio_rate{window}{{slo="{objective.name}"}}' for window in (long, short)]
    return f"({' and '.join(f'{share} > {burn:g} * {objective.budget:g}' for share in bad)})"
