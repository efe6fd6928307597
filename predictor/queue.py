"""
What waits to be computed: requests that take turns, within bounds.

A batch takes one text of each waiting request in turn until it is full, so a request of 4,096 texts costs a request of
one text at most the batch that is computing and its share of the next.

A request is admitted whole or refused whole, at once (DESIGN law 6), by how long the others would make it wait. Since
they take turns, each of them costs it at most as many tokens as it has itself; the pace is measured on the batches
computed. So under overload what is admitted is answered soon, and a large request that computes for seconds does not
shut out small ones. One that computes longer than the limit by itself may wait a few times as long as it computes.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.pace import Pace
from serving.errors import Overloaded

# What a request may wait for others, in times of its own computing, where that is longer than the limit.
_MOST_SLOWDOWN = 4


class Request:
    """
    Texts of one request that wait, and the rows that came back.

    Attributes:
        answer: its probabilities, float32 (N, L), or why there are none.
    """

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.waiting = deque(enumerate(texts))
        self.waiting_tokens = self.tokens = sum(map(len, texts))
        self.rows: list[NDArray[np.float32] | None] = [None] * len(texts)
        self.missing = len(texts)
        self.answer: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()

    @property
    def next_tokens(self) -> int:
        """
        Tokens of the text whose turn is next.
        """
        return len(self.waiting[0][1])

    def take(self) -> "Entry":
        """
        The text whose turn is next; it waits no more.
        """
        position, token_ids = self.waiting.popleft()
        self.waiting_tokens -= len(token_ids)
        return Entry(self, position, token_ids)

    def drop_waiting(self) -> None:
        """
        Let go of what still waits.
        """
        self.waiting.clear()
        self.waiting_tokens = 0

    def put(self, index: int, row: NDArray[np.float32]) -> None:
        """
        Take in a text's row, (L,); the last one completes the answer.
        """
        self.rows[index] = row
        self.missing -= 1
        if not self.missing and not self.answer.done():
            self.answer.set_result(np.stack(self.rows))  # type: ignore[arg-type]  # no row is missing now


class Entry(NamedTuple):
    """
    One text on its way through a batch.
    """

    request: Request
    position: int
    token_ids: Sequence[int]


class RequestQueue:
    """
    Requests that wait.

    Args:
        pace: how fast they are computed.
        max_batch_tokens: tokens a batch; a longer text makes a batch of its own.
        max_tokens: tokens waiting at most; a larger request is admitted while nothing else waits.
        max_wait_seconds: longest time that other requests may make one wait.
    """

    def __init__(self, pace: Pace, *, max_batch_tokens: int, max_tokens: int, max_wait_seconds: float) -> None:
        self._pace = pace
        self._max_batch_tokens = max_batch_tokens
        self._max_tokens = max_tokens
        self._max_wait_seconds = max_wait_seconds
        self._requests: deque[Request] = deque()
        self._tokens = 0

    def put(self, texts: Sequence[Sequence[int]]) -> Request:
        """
        Admit N ≥ 1 tokenised texts.

        Raises:
            Overloaded: 429, too much waits before them; none was taken.
        """
        request = Request(texts)
        if self._tokens and not self._has_room(request.waiting_tokens):
            raise Overloaded("too many texts wait already; try again shortly, or send fewer at a time")
        self._tokens += request.waiting_tokens
        self._requests.append(request)
        return request

    def withdraw(self, request: Request) -> None:
        """
        Make room of what still waits of a request.
        """
        self._tokens -= request.waiting_tokens
        request.drop_waiting()

    def next_batch(self) -> list[Entry]:
        """
        One text of each waiting request in turn, until the next would not fit; a cancelled request is dropped.
        """
        batch: list[Entry] = []
        tokens = 0
        while self._requests:
            request = self._requests[0]
            if request.answer.done() or not request.waiting:
                self._requests.popleft()
                continue
            if batch and tokens + request.next_tokens > self._max_batch_tokens:
                break
            entry = request.take()
            tokens += len(entry.token_ids)
            batch.append(entry)
            self._requests.rotate(-1)
            if not request.waiting:
                self._requests.pop()
        self._tokens -= tokens
        return batch

    def _has_room(self, tokens: int) -> bool:
        if self._tokens + tokens > self._max_tokens:
            return False
        others = sum(min(request.waiting_tokens, tokens) for request in self._requests)
        allowed = max(self._max_wait_seconds, _MOST_SLOWDOWN * self._pace.seconds(tokens))
        return self._pace.seconds(others) <= allowed
