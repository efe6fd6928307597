"""
How answers leave a connection, and when more is read from it: what uvicorn's request cycles are given to use.
"""

import asyncio
from collections.abc import Callable, Sized

from uvicorn.protocols.http.flow_control import FlowControl


class Answering:
    """
    A transport as uvicorn's answers use it; where they would close it, the connection decides when.

    Args:
        transport: what they write to.
        close: takes note that the connection's last answer is out.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Flow(FlowControl):
    """
    Uvicorn's, which each answer has read on; but while two requests wait a third one stays in the kernel.

    So while one of three is at work it is not seen that the client has left: that stands behind what is not read.

    Args:
        transport: is paused and resumed.
        waiting: requests whose turn has not come.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """
        Read on, unless enough waits.
        """
        if len(self._waiting) <= 1:
            super().resume_reading()

    async def drain(self) -> None:
        """
        Wait for nothing: an answer that has begun is whole, and between its head and its body it would keep its place.
        """
