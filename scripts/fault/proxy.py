"""
Proxies that do to a connection what networks and busy peers do: answer late, break off, go now here and now there.
"""

import asyncio
import contextlib
import itertools
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable

_CHUNK_BYTES = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Proxy(ABC):
    """
    Listens on a port of loopback.

    Attributes:
        port: where it listens.
    """

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server
        self._carrying: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """
        Listen.
        """
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """
        End every connection.
        """
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    @abstractmethod
    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """
        Carry one client's connection until it ends.
        """

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.carry(reader, writer))
        self._carrying.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await task
        finally:
            self._carrying.discard(task)
            writer.transport.abort()


class TcpProxy(Proxy):
    """
    Carries bytes.

    Args:
        target: port they go to.

    Attributes:
        delay: seconds by which each reply comes later.
        cut: share of the replies that end in the middle, and their connection with them.
    """

    def __init__(self, target: int) -> None:
        super().__init__()
        self._target = target
        self.delay = self.cut = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """
        See `Proxy.carry`.
        """
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.create_task(self._ask(reader, server_writer)),
            asyncio.create_task(self._reply(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await asyncio.sleep(self.delay)
            if random.random() < self.cut:
                writer.write(data[: random.randrange(len(data))])
                await writer.drain()
                writer.close()
                return
            writer.write(data)
            await writer.drain()


class HttpProxy(Proxy):
    """
    Carries requests, each to the next target, as a canary's gateway does.

    Args:
        targets: ports they go to.

    Attributes:
        delay: seconds by which the next reply comes later.
    """

    delay: Callable[[], float]

    def __init__(self, *targets: int) -> None:
        super().__init__()
        self.aim(*targets)
        self.delay = float

    def aim(self, *targets: int) -> None:
        """
        Choose the ports that requests go to, turn by turn.
        """
        self._targets = itertools.cycle(targets)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """
        See `Proxy.carry`.
        """
        servers: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        try:
            while True:
                request = await _message(reader)
                target = next(self._targets)
                if target not in servers:
                    servers[target] = await asyncio.open_connection("127.0.0.1", target)
                server_reader, server_writer = servers[target]
                server_writer.write(request)
                reply = await _message(server_reader)
                await asyncio.sleep(self.delay())
                writer.write(reply)
                await writer.drain()
        finally:
            for _, server_writer in servers.values():
                server_writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """
    A request or a reply whose head tells its length.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")
