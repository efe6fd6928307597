from typing import Any

import pytest
from structlog.testing import capture_logs

from serving.access_log import AccessLog
from serving.record import Record
from serving.trace_context import TraceContext

ANSWERED = Record("id", status=200, durations_ms={"parse": 1.0})
REFUSED = Record("id", status=429)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def written(log: AccessLog, *records: Record) -> list[Any]:
    """
    The lines of some requests.
    """
    with capture_logs() as lines:
        for record in records:
            log.write(record)
    return lines


def test_busy() -> None:
    """
    Of a second's requests that succeed the first hundred have a line, and the next line says how many had none.
    """
    clock = Clock()
    log = AccessLog(clock)
    assert len(written(log, *[ANSWERED] * 250)) == 100
    clock.now += 1
    first, second = written(log, ANSWERED, ANSWERED)
    assert first["unlogged"] == 150
    assert "unlogged" not in second


def test_errors() -> None:
    """
    However busy it is, every request that fails has its line.
    """
    log = AccessLog(Clock())
    written(log, *[ANSWERED] * 250)
    assert [line["status"] for line in written(log, *[REFUSED] * 250)] == [429] * 250


@pytest.mark.parametrize("trace", [None, TraceContext("a" * 32, "b" * 16, sampled=True)])
def test_trace(trace: TraceContext | None) -> None:
    """
    A request of a trace names it.
    """
    (line,) = written(AccessLog(), Record("id", status=503, trace=trace))
    assert line.get("trace_id") == (trace and trace.trace_id)


def test_phases() -> None:
    """
    A line tells the milliseconds of each phase, and of all.
    """
    (line,) = written(AccessLog(), ANSWERED)
    assert line["phases_ms"] == {"parse": 1.0}
    assert line["ms"] > 0
