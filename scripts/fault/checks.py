"""
What rows have in common that must hold.
"""

from collections.abc import Collection, Sequence

from fault.outcome import BACK_WITHIN_SECONDS, NO_ANSWER, Outcome, Played, quantile, statuses
from fault.verdict import Check

OK = 200

# A level is the old one when noise alone could explain the difference.
_TIMES_OLD_LEVEL = 1.5
_OVER_OLD_LEVEL_SECONDS = 0.005


def right(outcomes: Sequence[Outcome]) -> Check:
    """
    Every answer is the right one of the revision that it names, and every refusal tells why.
    """
    answers = [outcome for outcome in outcomes if outcome.status != NO_ANSWER]
    faults = [outcome.fault for outcome in answers if outcome.fault]
    example = f", such as: {faults[0]}" if faults else ""
    return Check("no answer is wrong", not faults, f"{len(faults)} of {len(answers)}{example}")


def status(law: str, outcomes: Sequence[Outcome], allowed: Collection[int] = (OK,), *, timed: bool = False) -> Check:
    """
    Every status is one of these.
    """
    others = [outcome for outcome in outcomes if outcome.status not in allowed]
    figure = f"{len(others)} of {len(outcomes)} are not" if outcomes else "nobody asked then"
    if others:
        figure += f": {statuses(others)}, such as {others[0].fault or others[0].request_id}"
    return Check(law, not others and bool(outcomes or not timed), figure, timed)


def mixed(outcomes: Sequence[Outcome]) -> Check:
    """
    The load was one: some texts known, some not.
    """
    hits, texts = sum(outcome.hits for outcome in outcomes), sum(outcome.texts for outcome in outcomes)
    return Check("the load is of hits and misses", 0 < hits < texts, f"{hits} hits of {texts} texts")


def back_to_level(played: Played) -> Check:
    """
    The slowest answers are soon as fast as before the fault.
    """
    before, late = quantile(played.before, 0.99), quantile(played.late, 0.99)
    law = f"p99 is back within {BACK_WITHIN_SECONDS:g} s"
    held = bool(played.late) and late <= before * _TIMES_OLD_LEVEL + _OVER_OLD_LEVEL_SECONDS
    return Check(law, held, f"{ms(before)} before, {ms(late)} then", timed=True)


def ms(seconds: float) -> str:
    """
    Seconds in milliseconds, for a person.
    """
    return f"{seconds * 1000:.1f} ms"
