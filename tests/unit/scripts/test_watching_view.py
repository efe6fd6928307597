import numpy as np
import pytest

from watching.view import Curve, Span, legend, shown


@pytest.mark.parametrize("seconds", [8, 180, 3600])
def test_span(seconds: float) -> None:
    """
    What is looked at ends now, begins no earlier than asked, and is drawn in a bounded number of points.
    """
    span = Span.until(1_000_000, seconds, 1)
    assert span.times[0] == span.start >= 1_000_000 - seconds
    assert span.times[-1] == pytest.approx(1_000_000)
    assert len(span.times) <= 241
    assert np.diff(span.times) == pytest.approx(span.step)


def test_rate_has_scrapes() -> None:
    """
    A rate is over more than the points that are drawn of it lie apart, so that none falls between them.
    """
    assert all(span.rate_seconds > span.step for span in (Span.until(1e6, seconds, 1) for seconds in (8, 180, 3600)))


def test_what_never_happened() -> None:
    """
    What is always 0 takes no place in a legend beside what is not, and is shown where there is nothing else.
    """
    gap = float("nan")
    some, zero, empty = (Curve("", np.array(values)) for values in ([0, gap, 2], [0, gap, 0], [gap, gap, gap]))
    assert shown([empty, zero, some]) == [some]
    assert shown([empty, zero]) == [zero]
    assert shown([empty]) == []


def test_legend() -> None:
    """
    A legend's labels are filled in, and those that a series lacks leave no gap.
    """
    assert legend("cores {{pod}} {{instance}}", {"instance": "localhost:8080"}) == "cores localhost:8080"
