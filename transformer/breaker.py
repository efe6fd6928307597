"""
A circuit breaker: after some failures in a row, leave a broken peer alone for a while (Nygard, Release It!).
"""

from collections.abc import Callable
from time import monotonic

import structlog

from transformer.metrics import BREAKER_OPEN

_log = structlog.get_logger("breaker")


class Breaker:
    """
    Closed while calls succeed; open after `max_failures` in a row; half-open, for one probe, after `open_seconds`.

    Args:
        peer: whom it guards, for the log and the metric.
        max_failures: failures in a row that open it.
        open_seconds: how long the peer is left alone.
        clock: seconds, monotonic.
    """

    def __init__(
        self, peer: str, *, max_failures: int = 3, open_seconds: float = 1.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._peer = peer
        self._max_failures = max_failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._next_probe = 0.0
        self._gauge = BREAKER_OPEN.labels(peer)
        self._gauge.set(0)

    @property
    def open(self) -> bool:
        """
        Whether the peer is being left alone.
        """
        return self._failures >= self._max_failures

    def allow(self) -> bool:
        """
        Whether to call now; while open, true once every `open_seconds`.
        """
        if not self.open:
            return True
        if self._clock() < self._next_probe:
            return False
        self._next_probe = self._clock() + self._open_seconds
        return True

    def succeeded(self) -> None:
        """
        Note a call that worked; closes the breaker.
        """
        if self.open:
            _log.info("breaker closed", peer=self._peer)
            self._gauge.set(0)
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """
        Note a call that did not work, and why, for the log.
        """
        self._failures += 1
        if self._failures == self._max_failures:
            _log.warning("breaker open", peer=self._peer, error=type(error).__name__)
            self._gauge.set(1)
        if self.open:
            self._next_probe = self._clock() + self._open_seconds
