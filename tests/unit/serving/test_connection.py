import asyncio
import gc
import json
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import uvicorn

from serving import connection
from serving.connection import BoundedHttp
from serving.observer import Observer

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE = bytes(16 * 1024 * 1024)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """
    An application that says yes, or far more than a socket holds, or fails in its answer once its client has left.
    """
    if scope["path"] == "/fails":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        raise RuntimeError
    if scope["path"] == "/reads":
        await receive()
    body = LARGE if scope["path"] == "/large" else b"yes"
    headers = [(b"content-length", str(len(body)).encode())]
    if scope["path"] == "/large-head":
        headers.append((b"x-large", b"a" * len(LARGE)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def until(holds: Callable[[], bool]) -> None:
    """
    Return once something holds, or fail after a while.
    """
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.01)


@pytest.fixture
async def server(observer: Observer) -> AsyncIterator[uvicorn.Server]:
    """
    A server of it.
    """
    config = uvicorn.Config(answer, ws="none", lifespan="off", log_config=None)
    config.http = partial(BoundedHttp, receive_timeout_seconds=60, observer=observer)  # type: ignore[assignment]
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup(sockets=[listener])
        yield server
        server.force_exit = True
        await server.shutdown([listener])


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    """
    Where it listens.
    """
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


async def test_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who connects while as many as may be are connected is told to come again; the others are served.
    """
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + REQUEST[:5])
    assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200 ")
    refused, refused_writer = await asyncio.open_connection("127.0.0.1", port)
    head, _, body = (await refused.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in head
    assert json.loads(body)["error_type"] == "unavailable"
    writer.write(REQUEST[5:])
    assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200 ")
    refused_writer.close()
    writer.close()


async def test_idle_connections_give_way(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Clients that keep idle connections never keep another, such as a probe, from its answer.
    """
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 1)
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    idle_writer.write(REQUEST)
    await idle.readuntil(b"yes")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200 ")
    assert not await idle.read()
    idle_writer.close()
    writer.close()


async def test_longest_idle_gives_way(server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of idle connections the one that gives way has been so for the longest, and is none that was just opened.
    """
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 5)
    opened = []
    for count in range(1, 6):
        opened.append(await asyncio.open_connection("127.0.0.1", port))
        await until(lambda count=count: len(server.server_state.connections) == count)  # type: ignore[misc]
    for left in range(5):
        opened.append(await asyncio.open_connection("127.0.0.1", port))
        assert not await opened[left][0].read()
    for reader, writer in opened[5:]:
        writer.write(REQUEST)
        assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200 ")
    for _, writer in opened:
        writer.close()


# What a client sends before it does nothing more.
FORSAKEN = {
    "nothing": b"",
    "half a head": REQUEST[:8],
    "no HTTP": b"NONSENSE\r\n\r\n",
    "a request": REQUEST,
    "a last request": REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
    "half a body": REQUEST.replace(b"\r\n\r\n", b"\r\ncontent-length: 9\r\n\r\n"),
    "half a last body": REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\ncontent-length: 9\r\n\r\n"),
    "a request, and no HTTP": REQUEST + b"NONSENSE\r\n\r\n",
    "too many headers": REQUEST[:-2] + b"a: b\r\n" * 300,
}


@pytest.mark.parametrize("sent", FORSAKEN.values(), ids=FORSAKEN)
async def test_silent_client_is_let_go(
    server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """
    A client that does nothing more, and keeps its side open, is let go, whatever it has sent.
    """
    for patience in ("_LINGER_SECONDS", "_UNREAD_SECONDS"):
        monkeypatch.setattr(connection, patience, 0.1)
    monkeypatch.setattr(server.config, "timeout_keep_alive", 0.1)
    monkeypatch.setitem(server.config.http.keywords, "receive_timeout_seconds", 0.1)  # type: ignore[union-attr]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await until(lambda: bool(server.server_state.connections))
    writer.write(sent)
    await until(lambda: not server.server_state.connections)
    writer.close()


async def test_fault_in_reading_is_no_fault_of_the_client(
    server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where our own code fails while a request is read, its client is told of no mistake, and the fault is.
    """
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context["exception"]))
    monkeypatch.setattr(BoundedHttp, "_start_asgi_task", lambda *_: 1 / 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    assert not await reader.read()
    [fault] = broken
    assert isinstance(fault.__context__, ZeroDivisionError)
    await until(lambda: not server.server_state.connections)
    writer.close()


@pytest.mark.parametrize(("version", "told"), [(b"1.0", 0), (b"1.1", 1)])
async def test_expectation_of_old_clients(port: int, version: bytes, told: int) -> None:
    """
    Only clients of HTTP/1.1 are told to go on, since those before do not know what that means (RFC 9110, 10.1.1).
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /reads HTTP/%b\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n" % version
    writer.write(head + b"hi")
    received = await reader.read()
    assert received.count(b"HTTP/1.1 100 ") == told
    assert received.endswith(b"yes")
    writer.close()


async def test_unread_answer_ends_the_connection(
    server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A client that does not read its answer in time is left, though it reads a byte now and then.
    """
    monkeypatch.setattr(connection, "_UNREAD_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(REQUEST.replace(b"/", b"/large", 1))
    await reader.readexactly(1)
    async with asyncio.timeout(60):
        while server.server_state.connections:
            await reader.readexactly(1)
            await asyncio.sleep(0.01)
    assert len(await reader.read()) < len(LARGE) / 2
    writer.close()


async def test_begun_answer_waits_for_nobody(
    server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An answer whose head nobody reads is made to its end all the same: what makes it holds a place.
    """
    monkeypatch.setattr(connection, "_UNREAD_SECONDS", 3600)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(REQUEST.replace(b"/", b"/large-head", 1))
    await reader.readexactly(1)
    await until(lambda: not server.server_state.tasks)
    assert (await reader.readuntil(b" 200 ")).startswith(b"TTP/1.1")
    writer.transport.abort()


async def test_pipeline_is_bounded(port: int) -> None:
    """
    A client that sends more requests than may wait on one connection is refused, behind the answers to those.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST * (connection.MAX_PIPELINED + 50))
    received = await reader.read()
    assert received.count(b"HTTP/1.1 200 ") == connection.MAX_PIPELINED + 1
    assert received.count(b"HTTP/1.1 429 ") == 1
    assert received.index(b"HTTP/1.1 429 ") > received.rindex(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize("fault", [b"NONSENSE\r\n\r\n", REQUEST[:-2] + b"x: " + b"a" * 1_000_000], ids=["400", "431"])
async def test_fault_takes_no_answer_from_those_before(port: int, fault: bytes) -> None:
    """
    What is no request is refused behind the answers to the requests before it, however slow the client reads those.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(REQUEST.replace(b"/", b"/large", 1) * 2 + REQUEST + fault)
    received = await reader.read()
    before, yes, refused = received.partition(b"yes")
    assert before.count(b"HTTP/1.1 200 ") == 3
    assert before.count(LARGE) == 2
    assert yes
    assert refused.startswith(b"HTTP/1.1 4")
    assert b"slow" not in refused
    writer.close()


async def test_small_unread_answer_is_kept_for_its_reader(
    server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A last answer that no kernel has room for waits as long for its reader as any, not as briefly as a refusal.
    """
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(REQUEST)
    await reader.readuntil(b"yes")
    [served] = server.server_state.connections
    served.transport.set_write_buffer_limits(high=2 * len(LARGE))  # type: ignore[union-attr]  # so that it is small
    writer.write(REQUEST.replace(b"/", b"/large", 1).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    await until(lambda: served.transport.is_closing() or "LINGERING" in str(served._state))  # type: ignore[union-attr]
    for _ in range(10):
        await asyncio.sleep(0)
    assert (await reader.read()).endswith(LARGE)
    writer.close()


async def test_stop_waits_for_a_request_that_has_begun(server: uvicorn.Server, port: int) -> None:
    """
    A request whose head is half here when the server stops is answered.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + REQUEST[:20])
    assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200 ")
    [begun] = server.server_state.connections
    begun.shutdown()
    writer.write(REQUEST[20:])
    assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200 ")
    begun.shutdown()
    assert not await reader.read()
    writer.close()


async def test_client_that_half_closes_is_not_waited_for(server: uvicorn.Server, port: int) -> None:
    """
    A client that ends its side while its answers fill the kernel ends its connection too, whatever it leaves unread.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(REQUEST.replace(b"/", b"/large", 1) * 2)
    await reader.readexactly(1)
    [served] = server.server_state.connections
    assert served._open  # type: ignore[union-attr]  # ours
    writer.write_eof()
    await until(lambda: not served._open)  # type: ignore[union-attr]
    writer.close()


async def test_stop_waits_for_a_body_that_is_not_needed(server: uvicorn.Server, port: int) -> None:
    """
    A request that was answered before its end is taken in when the server stops, and then its connection ends.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n"))
    await reader.readuntil(b"yes")
    [served] = server.server_state.connections
    served.shutdown()
    writer.write(b"hello")
    assert not await reader.read()
    writer.close()


async def test_fault_of_the_application_after_its_client_left(server: uvicorn.Server, port: int) -> None:
    """
    An application that fails when nobody waits any more breaks nothing else.
    """
    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST.replace(b"/", b"/fails", 1))
    await until(lambda: bool(server.server_state.tasks))
    [task] = server.server_state.tasks
    writer.transport.abort()
    await asyncio.wait([task])
    del task
    gc.collect()
    assert not broken


async def test_closed_connections_are_free_at_once(server: uvicorn.Server, port: int) -> None:
    """
    What a connection held is free when it is closed, and not when the collector comes.
    """
    gc.collect()
    gc.disable()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert (await reader.read()).endswith(b"yes")
        [held] = map(weakref.ref, server.server_state.connections)
        writer.close()
        async with asyncio.timeout(60):
            await server.shutdown()
        assert held() is None
    finally:
        gc.enable()
