import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import admission, rpc_reading
from serving.errors import InvalidRequest, Overloaded, SlowRequest
from serving.rpc_reading import Readers

TURNS = 4


@pytest.fixture(autouse=True)
def _few_and_short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_reading, "LARGEST_BODIES", TURNS)
    monkeypatch.setattr(rpc_reading, "_TURN_SECONDS", 0.01)


class Calls:
    """
    What clients send, and how much of it is asked for at once.
    """

    def __init__(self) -> None:
        self.read_now = self.most = 0
        self.read: list[str] = []
        self.arrived = asyncio.Event()

    async def sends(self, message: bytes, *, after: int | None = 0) -> AsyncGenerator[bytes, None]:
        """
        A call whose message comes after so many steps of the event loop; None: once it has `arrived`.
        """
        self.read_now += 1
        self.most = max(self.most, self.read_now)
        self.read.append(message.decode())
        try:
            if after is None:
                await self.arrived.wait()
            for _ in range(after or 0):
                await asyncio.sleep(0)
        finally:
            self.read_now -= 1
        yield message

    async def end(self) -> AsyncGenerator[bytes, None]:
        """
        A call that ends without a message.
        """
        return
        yield b""


@contextlib.asynccontextmanager
async def silent(readers: Readers, calls: Calls, count: int, peer: str) -> AsyncIterator[list[asyncio.Task[bytes]]]:
    """
    So many calls of a connection that say nothing.
    """
    tasks = [asyncio.create_task(readers.read(calls.sends(b"silent", after=None), peer)) for _ in range(count)]
    await asyncio.sleep(0)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize("connections", [["a"], ["a", "b"], list("abcdefgh")])
async def test_silent_calls(connections: list[str]) -> None:
    """
    However many calls are silent, on one connection or many, the message of another one is read.
    """
    readers, calls = Readers(600), Calls()
    async with contextlib.AsyncExitStack() as stack:
        for peer in connections:
            await stack.enter_async_context(silent(readers, calls, 40 // len(connections), peer))
        for _ in range(10):
            assert await readers.read(calls.sends(b"question"), "honest") == b"question"


async def test_calls_of_one_connection_share_its_line() -> None:
    """
    While no connection with fewer turns waits, all get the time they may take: those that share a line slow each other.
    """
    readers, calls = Readers(600), Calls()
    asked = [asyncio.create_task(readers.read(calls.sends(b"large", after=None), "one")) for _ in range(3 * TURNS)]
    await asyncio.sleep(3 * rpc_reading._TURN_SECONDS)  # as long as turns would be short
    calls.arrived.set()
    assert await asyncio.gather(*asked) == [b"large"] * len(asked)


async def test_who_gives_way() -> None:
    """
    The oldest call of the connection that reads most gives way, and no other while turns suffice.
    """
    readers, calls = Readers(600), Calls()
    async with silent(readers, calls, 1, "few") as few, silent(readers, calls, TURNS - 1, "most") as most:
        assert await readers.read(calls.sends(b"question"), "honest") == b"question"
        [refused], left = await asyncio.wait(most, return_when=asyncio.FIRST_COMPLETED)
        assert refused is most[0]
        assert isinstance(refused.exception(), Overloaded)
        assert not few[0].done()
        calls.arrived.set()
        assert [await task for task in (*few, *left)] == [b"silent"] * (TURNS - 1)


async def test_who_is_next() -> None:
    """
    A turn goes to the connection that has fewest, and there to the call that came last.
    """
    readers, calls = Readers(600), Calls()
    async with silent(readers, calls, TURNS, "most"):
        waiting = [("most", b"1"), ("other", b"2"), ("other", b"3"), ("most", b"4")]
        tasks = [asyncio.create_task(readers.read(calls.sends(name), peer)) for peer, name in waiting]
        await asyncio.wait(tasks)
        assert calls.read[TURNS:] == ["3", "2", "4", "1"]


async def test_burst() -> None:
    """
    Of messages that have come with their calls none is refused, however many come at once.
    """
    readers, calls = Readers(600), Calls()
    burst = [readers.read(calls.sends(b"%d" % number), "a") for number in range(50 * TURNS)]
    assert await asyncio.gather(*burst) == [b"%d" % number for number in range(50 * TURNS)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 20), st.integers(0, 3)), max_size=40))
async def test_bound(crowd: list[tuple[str, int | None, int]]) -> None:
    """
    Never more messages are asked for than there are turns, and every call comes to its end.
    """
    readers, calls = Readers(0.02), Calls()
    tasks = []
    for peer, after, pause in crowd:
        tasks.append(asyncio.create_task(readers.read(calls.sends(b"a", after=after), peer)))
        for _ in range(pause):
            await asyncio.sleep(0)
        if tasks and after == 0:
            tasks[len(tasks) // 2].cancel()
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert calls.most <= TURNS
    assert all(isinstance(end, bytes | Overloaded | SlowRequest | asyncio.CancelledError) for end in ended)


async def test_slow_message() -> None:
    """
    While nobody waits, a message has its whole time, and then it is slow.
    """
    with pytest.raises(SlowRequest, match=r"0\.05 s"):
        await Readers(0.05).read(Calls().sends(b"", after=None), "a")


async def test_never_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A call that had no turn in its time is refused as one too many.
    """
    monkeypatch.setattr(rpc_reading, "_TURN_SECONDS", 600)
    readers, calls = Readers(600), Calls()
    async with silent(readers, calls, TURNS, "a"):
        monkeypatch.setattr(readers, "_timeout_seconds", 0.01)
        with pytest.raises(Overloaded):
            await readers.read(calls.sends(b"question"), "b")


async def test_turn_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who has had its turn gives way at once.
    """
    readers, calls = Readers(600), Calls()
    async with silent(readers, calls, TURNS, "most"):
        monkeypatch.setattr(rpc_reading, "_TURN_SECONDS", 600)
        readers._reading[0].began -= 600
        async with asyncio.timeout(60):
            assert await readers.read(calls.sends(b"question"), "honest") == b"question"


async def test_who_gives_way_has_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A turn lengthens nobody's time: who is slow is told so, though another waits.
    """
    monkeypatch.setattr(rpc_reading, "_TURN_SECONDS", 600)
    slow, readers, calls = Readers(0.05), Readers(600), Calls()
    slow._reading, slow._waiting = readers._reading, readers._waiting  # one crowd with times of its own
    async with silent(slow, calls, TURNS, "most") as most, asyncio.timeout(60):
        assert await readers.read(calls.sends(b"question"), "honest") == b"question"
        for each in most:
            with pytest.raises(SlowRequest):
                await each


async def test_who_comes_while_another_leaves() -> None:
    """
    Whenever calls come, also in the moment in which a turn ends, they are read.
    """
    readers, calls = Readers(600), Calls()
    async with silent(readers, calls, TURNS, "most"):
        asked = []
        for number in range(20 * TURNS):
            asked.append(asyncio.create_task(readers.read(calls.sends(b"question", after=3), str(number))))
            await asyncio.sleep(0)
            if readers._reading:
                readers._reading[0].began -= 1
        assert await asyncio.gather(*asked) == [b"question"] * len(asked)


async def test_as_many_as_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No more messages are in memory uncounted than there may be bodies of the largest size.
    """
    monkeypatch.undo()
    calls = Calls()
    async with silent(Readers(600), calls, 4 * admission.LARGEST_BODIES, "a"):
        assert calls.most == admission.LARGEST_BODIES


class Message:
    """
    A message whose end can be seen.
    """

    def __bytes__(self) -> bytes:
        return b"question"


class Receiver:
    """
    A stream as gRPC's: an iterable that keeps its one generator, which keeps it.
    """

    def __init__(self, message: Message) -> None:
        self._messages = [message]

    def __aiter__(self) -> AsyncGenerator[Message, None]:
        self._generator = self._receive()
        return self._generator

    async def _receive(self) -> AsyncGenerator[Message, None]:
        message = self._messages.pop()
        yield message


async def test_message_is_freed() -> None:
    """
    A stream's message is freed once it is read, with the collector off.
    """
    message = Message()
    seen, stream = weakref.ref(message), Receiver(message)
    call: Any = stream
    del message
    gc.disable()
    try:
        assert await Readers(600).read(call, "a") == b"question"
        del stream, call
        assert seen() is None
    finally:
        gc.enable()


async def test_no_message() -> None:
    """
    A call that ends without a message is the client's fault.
    """
    with pytest.raises(InvalidRequest):
        await Readers(600).read(Calls().end(), "a")
