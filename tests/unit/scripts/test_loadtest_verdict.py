"""
What `scripts/loadtest` makes of k6's thresholds.
"""

from typing import Any

import pytest

from loadtesting.run import Run
from loadtesting.verdict import judge


def run_of(metrics: dict[str, Any]) -> Run:
    """
    A run of which k6 says this.
    """
    words = dict.fromkeys(("scenario", "about", "url", "texts", "began", "processor"), "")
    return Run(**words, asked={}, cores=1, metrics=metrics, moments=[], looks=[])  # type: ignore[arg-type]  # pydantic checks


def stressed(*steps: bool | None) -> Run:
    """
    A run up these steps of 10, 20, … requests/s; None was not come to.
    """
    metrics: dict[str, Any] = {}
    for rate, held in enumerate(steps, 1):
        requests = 0 if held is None else 7
        metrics[f"latency{{step:{rate}0}}"] = {"p(99)": float(rate), "thresholds": {"p(99)<250": held is False}}
        failed = {"value": 0.0, "passes": 0, "fails": requests, "thresholds": {"rate<0.01": False}}
        metrics[f"http_req_failed{{step:{rate}0}}"] = failed
    return run_of(metrics)


@pytest.mark.parametrize(
    ("steps", "knee"),
    [
        ([True, True, False, None], 20),
        ([True, True, False, True], 20),
        ([True, True], 20),
        ([False, None], None),
        ([False, True], None),
    ],
)
def test_knee_is_the_last_step_before_the_first_that_broke(steps: list[bool | None], knee: int | None) -> None:
    """
    The knee is the last step that held before the first that did not; a run that finds none has failed.
    """
    verdict = judge(stressed(*steps))
    assert (verdict.knee.rate if verdict.knee else None) == knee
    assert verdict.held == (knee is not None)


@pytest.mark.parametrize("broken", [False, True])
def test_threshold_is_k6s_word(broken: bool) -> None:
    """
    A threshold of the whole run is held or broken as k6 says, and the run with it.
    """
    verdict = judge(run_of({"latency": {"p(99)": 17.0, "thresholds": {"p(99)<250": broken}}}))
    [threshold] = verdict.thresholds
    assert threshold.demanded == "99 % of the answers within 250 ms"
    assert threshold.measured == "within 17 ms"
    assert threshold.held == verdict.held == (not broken)


def test_unknown_condition_is_shown_as_it_is() -> None:
    """
    A condition that we have no words for is told in k6's.
    """
    [threshold] = judge(run_of({"vus": {"value": 3.0, "thresholds": {"value>1": False}}})).thresholds
    assert threshold.demanded == "vus value>1"
