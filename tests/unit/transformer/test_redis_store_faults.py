import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle

import pytest
from structlog.testing import capture_logs

from transformer.breaker import Breaker
from transformer.redis_store import _MAX_PENDING_STORES, RedisStore

from .parts import Clock, RedisServer

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def refuse(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """
    Hang up at once.
    """


async def talk_http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """
    Speak another protocol.
    """
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 8)


async def want_a_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """
    Answer every line as a Redis that wants a password.
    """
    while await reader.readline():
        writer.write(b"-NOAUTH Authentication required.\r\n")


async def answer_oddly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """
    Answer every command with a number, a word or a list that is too short.
    """
    odd = cycle([b":7\r\n", b"+OK\r\n", b"*1\r\n$1\r\nx\r\n"])
    while line := await reader.readline():
        if line.startswith(b"*"):
            writer.write(next(odd))


async def stay_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """
    Read everything and answer nothing.
    """
    await reader.read()


@asynccontextmanager
async def rotten(serve: Serve, *, timeout_ms: int = 50) -> AsyncIterator[tuple[RedisStore, list[None]]]:
    """
    A store on a peer that is no good Redis, and a list with an item for each connection made.
    """
    connections: list[None] = []

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(counted, "127.0.0.1", 0) as server:
        store = RedisStore(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", timeout_ms=timeout_ms)
        yield store, connections
        await store.close()


async def test_odd_answer_is_none() -> None:
    """
    What is no list of as many values as were asked for is no value at all, and nobody waits for another.
    """
    async with rotten(answer_oddly, timeout_ms=2000) as (store, _):
        for _ in range(6):
            assert await store.get(["a", "b"]) == [None, None]


@pytest.mark.parametrize("serve", [refuse, talk_http, want_a_password, stay_silent])
async def test_rotten_peer_is_silence(serve: Serve, clock: Clock) -> None:
    """
    A peer that hangs up, speaks nonsense, refuses or is silent costs no error: every key is absent.

    The breaker opens after three failures; while open the peer is left alone, and probed once each period.
    """
    async with rotten(serve) as (store, connections):
        store._peer.breaker = Breaker("redis", clock=clock)
        with capture_logs() as lines:
            for number in range(3):
                assert not store._peer.breaker.open, number
                assert await store.get(["a", "b"]) == [None, None]
            tried = len(connections)
            for _ in range(10):
                assert await store.get(["a"]) == [None]
                store.set_later({"a": b"1"}, ttl_seconds=lambda: 3600)
                await asyncio.gather(*store._pending)
            assert len(connections) == tried
            clock.now += 1
            assert [await store.get(["a"]) for _ in range(3)] == [[None]] * 3
            assert len(connections) == tried + 1
    assert [line["event"] for line in lines] == ["breaker open"]


async def test_killed_redis_is_silence(mortal_redis: RedisServer) -> None:
    """
    When Redis dies, open connections and new ones alike, keys are absent and stores are given up.
    """
    store = RedisStore(mortal_redis.url, timeout_ms=1000)
    store.set_later({"a": b"1"}, ttl_seconds=lambda: 3600)
    await asyncio.gather(*store._pending)
    assert await store.get(["a"]) == [b"1"]
    mortal_redis.kill()
    for _ in range(5):
        store.set_later({"a": b"1"}, ttl_seconds=lambda: 3600)
        assert await store.get(["a", "b"]) == [None, None]
    assert store._peer.breaker.open
    await store.close()


async def test_hung_redis_is_silence_until_it_wakes(mortal_redis: RedisServer, clock: Clock) -> None:
    """
    A hung Redis costs three deadlines and opens the breaker; once it wakes, the next probe closes it.

    Every key is then answered with its own value, and the log has one line for each change.
    """
    store = RedisStore(mortal_redis.url, timeout_ms=250)
    store._peer.breaker = Breaker("redis", clock=clock)
    mortal_redis.direct.mset({"a": b"1", "b": b"2", "c": b"3"})
    assert await store.get(["a"]) == [b"1"]
    with capture_logs() as lines:
        mortal_redis.hang()
        assert [await store.get([key]) for key in ("a", "b", "c", "a", "b")] == [[None]] * 5
        mortal_redis.wake()
        assert await store.get(["a"]) == [None]
        clock.now += 1
        assert [await store.get([key]) for key in ("c", "b", "a")] == [[b"3"], [b"2"], [b"1"]]
    assert [line["event"] for line in lines] == ["breaker open", "breaker closed"]
    await store.close()


async def test_store_does_not_wait() -> None:
    """
    `set_later` is over before Redis hears of it, also when Redis is silent; of 1,000 stores only so many wait.
    """
    async with rotten(stay_silent) as (store, connections):
        for number in range(1000):
            store.set_later({f"k{number}": b"1"}, ttl_seconds=lambda: 3600)
        assert connections == []
        assert len(store._pending) == _MAX_PENDING_STORES


async def test_cancelled_caller_harms_nobody(mortal_redis: RedisServer) -> None:
    """
    A `get` cancelled while Redis hangs leaves the breaker closed, and later answers belong to their own keys.
    """
    store = RedisStore(mortal_redis.url, timeout_ms=250)
    mortal_redis.direct.mset({"a": b"1", "b": b"2"})
    assert await store.get(["a"]) == [b"1"]
    mortal_redis.hang()
    caller = asyncio.create_task(store.get(["a"]))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    mortal_redis.wake()
    assert not store._peer.breaker.open
    assert await store.get(["b"]) == [b"2"]
    await store.close()
