import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from serving.rest_stop import RestUvicorn

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    """
    An application that says yes.
    """
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"yes"})


@pytest.fixture
async def listener() -> AsyncIterator[socket.socket]:
    """
    A port of loopback that is listened on.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
async def server(listener: socket.socket) -> RestUvicorn:
    """
    A server that serves there.
    """
    config = uvicorn.Config(answer, http="httptools", ws="none", lifespan="off", log_config=None)
    config.load()
    server = RestUvicorn(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return server


async def received(client: socket.socket) -> bytes:
    """
    All that comes until the connection's end.
    """
    reader, writer = await asyncio.open_connection(sock=client)
    content = await reader.read()
    writer.close()
    await writer.wait_closed()
    return content


async def test_untaken_connection(server: RestUvicorn, listener: socket.socket) -> None:
    """
    Requests on connections that the kernel has accepted and the server has not taken yet are answered.
    """
    clients = [socket.create_connection(listener.getsockname()) for _ in range(9)]
    for client in clients:
        client.sendall(REQUEST)
    # nothing was awaited since: the server has not seen them
    _, *contents = await asyncio.gather(server.shutdown([listener]), *map(received, clients))
    assert all(content.endswith(b"yes") for content in contents)


async def test_unread_connection(server: RestUvicorn, listener: socket.socket) -> None:
    """
    A request that comes right after the listener closed, on a connection opened before, is answered.
    """
    address = listener.getsockname()
    client = socket.create_connection(address)
    while not server.server_state.connections:  # noqa: ASYNC110  # uvicorn tells nobody
        await asyncio.sleep(0)
    stopping = asyncio.create_task(server.shutdown([listener]))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    client.sendall(REQUEST)
    content, _ = await asyncio.gather(received(client), stopping)
    assert content.endswith(b"yes")
