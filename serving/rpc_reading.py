"""
Reading the messages of gRPC's calls, so that who says nothing keeps nobody out.

gRPC gathers a message by itself once it is asked for, without telling how much of it has come; before, it takes in no
more than one window of flow control. So memory is bounded by how many calls are read at once: as many as there may be
bodies of the largest size. Silent calls look like slow ones and may take all of those turns. Therefore turns are short
while connections with fewer wait: the one that has most gives up its oldest; the next is of the connection that has
fewest, and the newest call there, since of many silent ones it is the least likely.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

from serving.admission import LARGEST_BODIES
from serving.errors import InvalidRequest, Overloaded, SlowRequest

# Far longer than a message takes that has arrived with its call; a large one over a slow line may need more.
_TURN_SECONDS = 0.25


@dataclass(eq=False, slots=True)
class _Reader:
    """
    A call whose message is waited for.

    Attributes:
        peer: its connection.
        timeout: what ends it.
        turn: set once it is read.
        began: when that was, in the event loop's time.
        is_pressed: whether it waits, or gives way to who does.
    """

    peer: str
    timeout: asyncio.Timeout
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = 0.0
    is_pressed: bool = True

    def begin(self) -> None:
        self.began = asyncio.get_running_loop().time()
        self.is_pressed = False
        self.turn.set()

    def give_way(self) -> None:
        if self.timeout.expired():
            return  # it is leaving
        end = self.began + _TURN_SECONDS
        if end < (self.timeout.when() or end):
            self.is_pressed = True
            self.timeout.reschedule(end)


class Readers:
    """
    The calls whose messages are read, and those that wait to be.

    Args:
        timeout_seconds: longest wait for a message.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._reading: list[_Reader] = []  # who began first is first
        self._waiting: list[_Reader] = []  # who came first is first

    async def read(self, stream: AsyncGenerator[bytes, None], peer: str) -> bytes:
        """
        The call's one message.

        Args:
            peer: the call's connection.

        Raises:
            SlowRequest: 408, it did not come in time.
            Overloaded: 429, nor in its turn, which was short, or there was none.
            InvalidRequest: 400, the call ended without it.
        """
        timeout = asyncio.timeout(self._timeout_seconds)
        reader = _Reader(peer, timeout)
        try:
            async with timeout:
                with self._one_more(reader):
                    await reader.turn.wait()
                    # Else it rests at the message and keeps it, in a cycle, until the next full collection.
                    messages = aiter(stream)
                    async with contextlib.aclosing(messages):  # type: ignore[type-var]  # typeshed's has no `aclose`
                        async for content in messages:
                            return bytes(content)
        except TimeoutError:
            if reader.is_pressed:
                raise Overloaded("too many calls wait for their messages; send each message with its call") from None
            raise SlowRequest(self._timeout_seconds) from None
        raise InvalidRequest("the call ended without a whole message")

    @contextlib.contextmanager
    def _one_more(self, reader: _Reader) -> Iterator[None]:
        self._waiting.append(reader)
        self._pass_on()
        try:
            yield
        finally:
            (self._reading if reader.turn.is_set() else self._waiting).remove(reader)
            self._pass_on()

    def _pass_on(self) -> None:
        if not self._waiting:
            return
        turns = Counter(reader.peer for reader in self._reading)
        while self._waiting and len(self._reading) < LARGEST_BODIES:
            following = min(reversed(self._waiting), key=lambda reader: turns[reader.peer])
            turns[following.peer] += 1
            self._waiting.remove(following)
            self._reading.append(following)
            following.begin()
        [(most, count)] = turns.most_common(1)
        # who has most keeps them while nobody waits but those who have as many: they share one line, and slow it alike
        if any(turns[reader.peer] < count for reader in self._waiting):
            next(reader for reader in self._reading if reader.peer == most).give_way()
