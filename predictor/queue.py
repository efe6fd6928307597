"""
What waits to be computed: requests that take turns, within bounds.

Waiting requests take turns of a few texts each (deficit round robin: Shreedhar and Varghese 1995): a request of 4,096
texts costs a request of one text at most the batch that is computing and one turn, and a small request is done in one.
A batch takes its share of what waits and not all of it (guided self-scheduling: Polychronopoulos and Kuck 1987), so
that the next thread that is free finds a decent batch too, and not just the first request to come.

A request is admitted whole or refused whole, at once (DESIGN law 6), by how long the others would make it wait. Since
they take turns, each of them costs it at most as many tokens as it has itself, or one turn; the pace is measured on the
batches computed. So under overload what is admitted is answered soon, and a large request that computes for seconds
does not shut out small ones. One that computes longer than the limit by itself may wait a few times as long as it
computes.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.pace import Pace
from serving.errors import Overloaded

# A turn, and the least that a batch takes where so much waits: smaller batches compute at a lesser rate.
_TURNS_A_BATCH = 4
# What a request may wait for others, in times of its own computing, where that is longer than the limit.
_MOST_SLOWDOWN = 4


class Request:
    """
    Texts of one request that wait, and the rows that came back.

    Args:
        turn_tokens: of a turn, but for its first text.

    Attributes:
        first_taken: when the first of its texts came into a batch, `perf_counter()`.
        answer: its probabilities, float32 (N, L), or why there are none.
    """

    def __init__(self, texts: Sequence[Sequence[int]], turn_tokens: int) -> None:
        self.waiting = deque(enumerate(texts))
        self.waiting_tokens = self.tokens = sum(map(len, texts))
        self._turn_tokens = self._turn_left = turn_tokens
        self.rows: list[NDArray[np.float32] | None] = [None] * len(texts)
        self.missing = len(texts)
        self.first_taken: float | None = None
        self.answer: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()

    @property
    def next_tokens(self) -> int:
        """
        Tokens of the text that is next.
        """
        return len(self.waiting[0][1])

    @property
    def turn_is_over(self) -> bool:
        """
        Whether others are next.
        """
        return self._turn_left < min(self._turn_tokens, self.next_tokens)

    def begin_turn(self) -> None:
        """
        Be next again once the others were; what the last turn had too much, this one lacks.
        """
        self._turn_left = min(self._turn_tokens, self._turn_left + self._turn_tokens)

    def take(self) -> "Entry":
        """
        The text that is next; it waits no more.
        """
        if self.first_taken is None:
            self.first_taken = perf_counter()
        position, token_ids = self.waiting.popleft()
        self.waiting_tokens -= len(token_ids)
        self._turn_left -= len(token_ids)
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
        threads: batches computed at once.
        max_batch_tokens: tokens a batch; a longer text makes a batch of its own.
        max_tokens: tokens waiting at most; a larger request is admitted while nothing else waits.
        max_wait_seconds: longest time that other requests may make one wait.
    """

    def __init__(
        self, pace: Pace, *, threads: int, max_batch_tokens: int, max_tokens: int, max_wait_seconds: float
    ) -> None:
        self._pace = pace
        self._threads = threads
        self._turn_tokens = max(1, max_batch_tokens // _TURNS_A_BATCH)
        self._max_batch_tokens = max_batch_tokens
        self._max_tokens = max_tokens
        self._max_wait_seconds = max_wait_seconds
        self._requests: deque[Request] = deque()
        self._tokens = 0

    @property
    def tokens(self) -> int:
        """
        How many wait.
        """
        return self._tokens

    def put(self, texts: Sequence[Sequence[int]]) -> Request:
        """
        Admit N ≥ 1 tokenised texts.

        Raises:
            Overloaded: 429, too much waits before them; none was taken.
        """
        request = Request(texts, self._turn_tokens)
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
        Turns of the waiting requests, until the next text would not fit; a cancelled request is dropped.
        """
        batch: list[Entry] = []
        tokens = 0
        most = min(self._max_batch_tokens, max(self._turn_tokens, self._tokens // self._threads))
        while self._requests:
            request = self._requests[0]
            if request.answer.done() or not request.waiting:
                self._requests.popleft()
                continue
            if request.turn_is_over:
                request.begin_turn()
                self._requests.rotate(-1)
                continue
            if batch and tokens + request.next_tokens > most:
                break
            entry = request.take()
            tokens += len(entry.token_ids)
            batch.append(entry)
        self._tokens -= tokens
        return batch

    def _has_room(self, tokens: int) -> bool:
        if self._tokens + tokens > self._max_tokens:
            return False
        others = sum(min(request.waiting_tokens, max(tokens, self._turn_tokens)) for request in self._requests)
        allowed = max(self._max_wait_seconds, _MOST_SLOWDOWN * self._pace.seconds(tokens))
        return self._pace.seconds(others) <= allowed
