"""
How long a connection waits for what happens next.
"""

import asyncio
from collections.abc import Callable, Hashable


class Patience:
    """
    One timer, which starts anew whenever something else is waited for.

    Attributes:
        awaited: what is waited for.
        since: from when on, in seconds of the loop's clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.awaited: Hashable = None
        self.since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def await_next(self, awaited: Hashable, seconds: float | None, too_late: Callable[[], None]) -> None:
        """
        Wait for this from now on, or go on doing so.

        Args:
            seconds: None: for ever.
            too_late: called when it has not come in time.
        """
        if awaited is self.awaited:
            return
        self.end()
        self.awaited = awaited
        self.since = self._loop.time()
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, too_late)

    def end(self) -> None:
        """
        Wait for nothing any more.
        """
        if self._timer:
            self._timer.cancel()
        self._timer = self.awaited = None
