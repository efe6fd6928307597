"""
The end of a REST server, without the loss of a request.

Told to stop, uvicorn resets connections that the kernel has accepted for it and it has not taken yet, and closes those
that it has not read from yet (uvicorn #2757); under load there always are some.
"""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Iterator

from kserve.protocol.rest.server import _RefreshingServer

_LINGER_STEPS = 10
_LINGER_STEP_SECONDS = 0.1


class RestUvicorn(_RefreshingServer):
    """
    Uvicorn with an orderly stop, and without its signal handlers.

    SIGTERM is for our drain, not for the listener (KSERVE.md 19).
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """
        Leave the signals alone.
        """
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """
        Close the listeners, and return once every request is answered, or the grace period is over.

        Open connections are closed when they are idle a second later: what was sent before is read by then.

        Args:
            sockets: the listeners.
        """
        late = [connection for listener in sockets or () for connection in self._accept_all(listener)]
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in late:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        # not in one sleep: between two of them the loop reads, however late this process is
        for _ in range(_LINGER_STEPS):
            if self.server_state.connections:
                await asyncio.sleep(_LINGER_STEP_SECONDS)
        await super().shutdown(sockets)

    def _accept_all(self, listener: socket.socket) -> Iterator[socket.socket]:
        with contextlib.suppress(OSError):  # there are no more
            for _ in range(self.config.backlog):
                connection, _ = listener.accept()
                connection.settimeout(0)
                yield connection

    def _protocol(self) -> asyncio.Protocol:
        # as in uvicorn's startup, where it can be had from nobody
        kind: type[asyncio.Protocol] = self.config.http_protocol_class
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]
