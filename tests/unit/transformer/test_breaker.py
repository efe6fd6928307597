import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from transformer.breaker import Breaker

from .parts import Clock


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """
    A breaker that opens after three failures, for one second.
    """
    return Breaker("peer", max_failures=3, open_seconds=1.0, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    """
    Fail so many times in a row.
    """
    for _ in range(times):
        breaker.failed(TimeoutError())


def test_failures_short_of_the_limit_leave_it_closed(breaker: Breaker) -> None:
    """
    Fewer failures in a row than the limit change nothing, however many there are in all.
    """
    for _ in range(5):
        fail(breaker, 2)
        breaker.succeeded()
    fail(breaker, 2)
    assert not breaker.open
    assert all(breaker.allow() for _ in range(10))


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """
    At the limit it opens and allows no call until its time has passed.
    """
    fail(breaker, 3)
    assert breaker.open
    assert not any(breaker.allow() for _ in range(10))


def test_open_breaker_allows_one_probe_each_period(breaker: Breaker, clock: Clock) -> None:
    """
    An open breaker allows one call each `open_seconds`, whether or not the call before has ended.
    """
    fail(breaker, 3)
    for _ in range(3):
        clock.now += 0.999
        assert not breaker.allow()
        clock.now += 0.001
        assert [breaker.allow() for _ in range(5)] == [True, False, False, False, False]


def test_failed_probe_starts_the_period_anew(breaker: Breaker, clock: Clock) -> None:
    """
    A failed probe keeps it open for `open_seconds` from that failure on.
    """
    fail(breaker, 3)
    clock.now += 1
    assert breaker.allow()
    clock.now += 0.5
    breaker.failed(TimeoutError())
    clock.now += 0.9
    assert not breaker.allow()
    clock.now += 0.1
    assert breaker.allow()


def test_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    """
    One success closes it, and it then takes as many failures as at first to open it again.
    """
    fail(breaker, 3)
    clock.now += 1
    assert breaker.allow()
    breaker.succeeded()
    assert not breaker.open
    fail(breaker, 2)
    assert all(breaker.allow() for _ in range(5))
    fail(breaker, 1)
    assert not breaker.allow()


def test_each_change_is_logged_once(breaker: Breaker) -> None:
    """
    The log has one line for each opening and each closing, with the peer's name, and none in between.
    """
    with capture_logs() as lines:
        for _ in range(2):
            fail(breaker, 10)
            breaker.succeeded()
            breaker.succeeded()
    assert [(line["event"], line["peer"], line["log_level"]) for line in lines] == [
        ("breaker open", "peer", "warning"),
        ("breaker closed", "peer", "info"),
    ] * 2


def test_metric_says_whether_it_is_open(breaker: Breaker) -> None:
    """
    The gauge of the peer is 1 while it is being left alone, and else 0.
    """

    def gauge() -> float | None:
        return REGISTRY.get_sample_value("sentiment_transformer_breaker_open", {"peer": "peer"})

    assert gauge() == 0
    fail(breaker, 2)
    assert gauge() == 0
    fail(breaker, 1)
    assert gauge() == 1
    breaker.succeeded()
    assert gauge() == 0
