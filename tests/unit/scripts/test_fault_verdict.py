import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import faults
from fault import play
from fault.checks import mixed, right, status
from fault.outcome import NO_ANSWER, Outcome
from fault.verdict import Check, Verdict
from fault.watch import trend


def verdict(*checks: Check, counted: bool = True) -> Verdict:
    """
    A row that was seen like this.
    """
    return Verdict("a-row", "a fault", checks, [outcome(200)], 1.0, counted=counted)


def outcome(code: int, fault: str | None = None, hits: int = 0) -> Outcome:
    """
    A request with three texts.
    """
    return Outcome(0.0, 0.1, code, cached=False, fault=fault, texts=3, hits=hits)


@pytest.mark.parametrize(("counted", "held"), [(True, False), (False, True)])
def test_time_counts_in_the_full_form_only(counted: bool, held: bool) -> None:
    """
    What was too slow fails a row where time counts, and nowhere else; what was wrong fails it everywhere.
    """
    slow, wrong = Check("soon", held=False, figure="late", timed=True), Check("right", held=False, figure="wrong")
    assert verdict(slow, counted=counted).held == held
    assert not verdict(wrong, counted=counted).held
    assert verdict(counted=counted).held


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_exit_status_tells_whether_every_row_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool, code: int
) -> None:
    """
    The exit status is 1 when one row failed, and the file of verdicts says the same.
    """
    file = tmp_path / "verdicts.json"

    def played(*_: object) -> Sequence[Verdict]:
        return [verdict(), verdict(Check("right", held=held, figure="perhaps"))]

    monkeypatch.setattr(play, "run", played)
    monkeypatch.setattr("sys.argv", ["faults", "--json", str(file)])
    assert faults.main() == code
    told = json.loads(file.read_text())
    assert (told["held"], [row["held"] for row in told["rows"]]) == (held, [True, held])


def test_what_must_not_be_is_noticed() -> None:
    """
    A wrong answer, an unexpected status, no answer at all, and a load of hits alone are each a failed check.
    """
    good = [outcome(200, hits=2), outcome(200)]
    assert right(good).held
    assert status("all", good).held
    assert mixed(good).held
    assert not right([*good, outcome(200, fault="wrong")]).held
    assert not right([*good, outcome(503, fault="no reason")]).held
    assert not status("all", [*good, outcome(503)], (200, 504)).held
    assert not status("all", [*good, outcome(NO_ANSWER)]).held
    assert not mixed([outcome(200, hits=3)]).held


def test_growth_is_told_from_noise() -> None:
    """
    Memory that grows steadily has a slope beyond its error, memory that wavers has not.
    """
    waver = [100.0 + (number * 7 % 5) for number in range(240)]
    slope, error, growth = trend(waver)
    assert abs(slope) <= 2.2 * error
    slope, error, growth = trend([level + number / 60 for number, level in enumerate(waver)])
    assert slope > 2.2 * error
    assert growth == pytest.approx(4, rel=0.2)
