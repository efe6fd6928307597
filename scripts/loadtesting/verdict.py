"""
Whether a run held what its scenario demands, and, where the load rose step by step, the knee.
"""

import re
from dataclasses import dataclass
from typing import Any

from loadtesting.run import Run
from loadtesting.words import ms, percent

_CONDITION = re.compile(r"(rate|p\(([\d.]+)\))(<|==)([\d.]+)")
_STEP = re.compile(r"{step:(?P<rate>\d+)}")


@dataclass(frozen=True)
class Threshold:
    """
    A condition, and what was measured, both in words.

    Attributes:
        rate: of the step that it is about; None where it is about the whole run.
    """

    demanded: str
    measured: str
    held: bool
    rate: int | None


@dataclass(frozen=True)
class Step:
    """
    Some time at a rate.

    Attributes:
        p99: milliseconds.
        failed: share of the requests.
    """

    rate: int
    p99: float
    failed: float
    held: bool


@dataclass(frozen=True)
class Verdict:
    """
    The thresholds of the whole run, and the steps up to the first that broke one of its own.

    Attributes:
        demanded: of each step, in words.
    """

    thresholds: list[Threshold]
    demanded: list[str]
    steps: list[Step]

    @property
    def knee(self) -> Step | None:
        """
        The last step that held.
        """
        return next((step for step in reversed(self.steps) if step.held), None)

    @property
    def held(self) -> bool:
        """
        Whether all is well: to break a step's threshold is what the steps are for, but the first must hold.
        """
        return all(threshold.held for threshold in self.thresholds) and not (self.steps and not self.knee)


def judge(run: Run) -> Verdict:
    """
    Judge by k6's own word.
    """
    thresholds = [
        _threshold(metric, condition, values, held=not broken)  # k6 says true of one that is broken
        for metric, values in run.metrics.items()
        for condition, broken in values.get("thresholds", {}).items()
    ]
    whole = [threshold for threshold in thresholds if threshold.rate is None]
    stepped = [threshold for threshold in thresholds if threshold.rate is not None]
    return Verdict(whole, sorted({threshold.demanded for threshold in stepped}), _steps(run, stepped))


def _steps(run: Run, thresholds: list[Threshold]) -> list[Step]:
    steps: list[Step] = []
    for rate in sorted({threshold.rate for threshold in thresholds if threshold.rate}):
        latency, failed = (run.metrics[f"{name}{{step:{rate}}}"] for name in ("latency", "http_req_failed"))
        if not failed["passes"] + failed["fails"] or (steps and not steps[-1].held):
            break
        held = all(threshold.held for threshold in thresholds if threshold.rate == rate)
        steps.append(Step(rate, latency["p(99)"], failed["value"], held))
    return steps


def _threshold(metric: str, condition: str, values: dict[str, Any], *, held: bool) -> Threshold:
    step = _STEP.search(metric)
    demanded, measured = _words(metric.partition("{")[0], condition, values)
    return Threshold(demanded, measured, held, int(step["rate"]) if step else None)


def _words(metric: str, condition: str, values: dict[str, Any]) -> tuple[str, str]:
    parts = _CONDITION.fullmatch(condition)
    match (metric, *(parts.groups() if parts else ())):
        case "latency", statistic, share, "<", bound:
            return f"{share} % of the answers within {float(bound):g} ms", f"within {ms(values[statistic])}"
        case "http_req_failed", "rate", _, "<", bound:
            return f"less than {percent(float(bound))} of the requests fail", f"{percent(values['value'])} failed"
        case "http_req_failed", "rate", _, "==", "0":
            return "no request fails", f"{values['passes']:,} failed"
        case "checks", "rate", _, "==", "1":
            return "every answer has a prediction for each text", f"{values['fails']:,} had not"
    return f"{metric} {condition}", ""
