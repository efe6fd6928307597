"""
The log line of a request.
"""

from collections.abc import Callable
from time import monotonic

import structlog

from serving.record import Record

_log = structlog.get_logger("access")
# Far more than a person reads, for 1 % of a core.
_MOST_A_SECOND = 100


class AccessLog:
    """
    One line a request, and never the texts.

    Each second's first 100 requests that succeed have a line, and every one that fails; `unlogged` in the next line
    says how many had none since the last. Probes, scrapes and metadata are asked every few seconds by machines, and
    have their lines at the level `debug` while they succeed.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._unlogged = 0

    def write(self, record: Record) -> None:
        """
        Say what became of a request.
        """
        if record.succeeded and not record.durations_ms:
            _log.debug("request", **_told(record))
        elif record.succeeded and self._is_busy():
            self._unlogged += 1
        else:
            counted = {"unlogged": self._unlogged} if self._unlogged else {}
            self._unlogged = 0
            _log.info("request", **_told(record), **counted)

    def _is_busy(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines > _MOST_A_SECOND


def _told(record: Record) -> dict[str, object]:
    told: dict[str, object] = {"request_id": record.request_id}
    if record.trace:
        told["trace_id"] = record.trace.trace_id
    return told | {
        "protocol": record.protocol,
        "route": record.route,
        "status": record.status,
        "ms": round(record.elapsed_ms(), 3),
        "phases_ms": {phase: round(duration, 3) for phase, duration in record.durations_ms.items()},
        "client": record.client,
        **record.fields,
    }
