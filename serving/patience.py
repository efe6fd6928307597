"""
How long a connection waits for what happens next.
"""

import asyncio
from collections.abc import Callable, Hashable


class Patience:
    """
    One timer, which starts anew whenever something else is waited for.

    Args:
        too_late: called when what is waited for has not come in time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, too_late: Callable[[], None]) -> None:
        self._loop = loop
        self._too_late = too_late
        self._awaited: Hashable = None
        self._timer: asyncio.TimerHandle | None = None

    def await_next(self, awaited: Hashable, seconds: float | None) -> None:
        """
        Wait for this from now on, or go on doing so.

        Args:
            seconds: None: for ever.
        """
        if awaited is self._awaited:
            return
        self.end()
        self._awaited = awaited
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._too_late)

    def end(self) -> None:
        """
        Wait for nothing any more.
        """
        if self._timer:
            self._timer.cancel()
        self._timer = None
