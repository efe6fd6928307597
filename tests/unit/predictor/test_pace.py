"""
Laws of the measured pace.
"""

import pytest

from predictor.pace import Pace


def test_pace_unknown_promises_no_wait() -> None:
    """
    Before the first batch nothing is known to take any time.
    """
    assert Pace(threads=2).seconds(1000) == 0


def test_pace_is_that_of_the_batches_seen() -> None:
    """
    The first batch sets the pace, and batches of another pace draw it towards theirs, the newest most.
    """
    pace = Pace(threads=2)
    pace.note(100, 1.0, full=True)
    assert pace.seconds(50) == pytest.approx(0.25)
    pace.note(100, 2.0, full=True)
    assert 0.25 < pace.seconds(50) < 0.375
    for _ in range(100):
        pace.note(100, 2.0, full=True)
    assert pace.seconds(50) == pytest.approx(0.5)


def test_small_batches_only_lower_it() -> None:
    """
    A small batch that is slower says nothing of a queue's pace; one that is faster ends a pace that is too slow.
    """
    pace = Pace(threads=1)
    pace.note(10, 1.0, full=False)
    assert pace.seconds(10) == pytest.approx(1.0)
    pace.note(10, 2.0, full=False)
    assert pace.seconds(10) == pytest.approx(1.0)
    for _ in range(100):
        pace.note(10, 0.5, full=False)
    assert pace.seconds(10) == pytest.approx(0.5)
