"""
Greedy batching: a batch forms from what is queued while the last one computes; no timer.

Requests take turns: a batch takes one text of each waiting request in turn until it is full, so a request of 4,096
texts costs a request of one text at most the batch that is computing and its share of the next. The queue is bounded
in tokens, because tokens are the cost; a request is admitted whole or refused whole (DESIGN law 6).

The cores are used by threads on one copy of the weights, and not by processes: `scripts/bench` on two cores of an AMD
EPYC (Zen 3) gave two threads 1.92 and 2.00 times one (embedded and full-shape model), two processes 1.89 and 1.87
times; the threads kept the event loop's 99th-percentile delay under 1 ms and took 15 and 28 MiB more, the processes 437
and 654 MiB. The forward is few, large operators that let go of the GIL.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import InternalError, Overloaded

Classify = Callable[[Sequence[Sequence[int]]], NDArray[np.float32]]


class _Request:
    """
    Texts of one request that wait, and the rows that came back.
    """

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.waiting = deque(enumerate(texts))
        self.tokens = sum(map(len, texts))
        self.rows: list[NDArray[np.float32] | None] = [None] * len(texts)
        self.missing = len(texts)
        self.answer: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()

    def put(self, index: int, row: NDArray[np.float32]) -> None:
        self.rows[index] = row
        self.missing -= 1
        if not self.missing and not self.answer.done():
            self.answer.set_result(np.stack(self.rows))  # type: ignore[arg-type]  # no row is missing now


class _Entry(NamedTuple):
    request: _Request
    position: int
    token_ids: Sequence[int]


class Batcher:
    """
    Queue in front of the compute threads.

    Args:
        classify: probabilities of a batch, float32 (B, L); runs in a compute thread.
        threads: batches computed at once.
        max_batch_tokens: tokens a batch; a longer text makes a batch of its own.
        max_queue_tokens: tokens waiting at most; a larger request is admitted while nothing else waits.
    """

    def __init__(self, classify: Classify, *, threads: int, max_batch_tokens: int, max_queue_tokens: int) -> None:
        self._classify = classify
        self._max_batch_tokens = max_batch_tokens
        self._max_queue_tokens = max_queue_tokens
        self._requests: deque[_Request] = deque()
        self._queued_tokens = 0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._threads = threads
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """
        Begin to compute; call inside the event loop.
        """
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._threads)]

    async def close(self) -> None:
        """
        Stop computing; call when nothing waits any more.
        """
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._thread.shutdown()

    async def submit(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of N ≥ 1 tokenised texts, in their order.

        Returns:
            float32 (N, L).

        Raises:
            Overloaded: 429, the queue has no room for all of them; none was taken.
            InternalError: 500, the forward failed on one of their batches.
        """
        request = _Request(texts)
        if self._queued_tokens and self._queued_tokens + request.tokens > self._max_queue_tokens:
            raise Overloaded(f"the queue of {self._max_queue_tokens} tokens is full; try again shortly")
        self._queued_tokens += request.tokens
        self._requests.append(request)
        self._wake.set()
        try:
            return await request.answer
        finally:  # cancelled or failed: what still waits makes room at once
            self._queued_tokens -= sum(len(token_ids) for _, token_ids in request.waiting)
            request.waiting.clear()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                continue
            try:
                rows = await loop.run_in_executor(self._thread, self._classify, [entry.token_ids for entry in batch])
                answered = list(zip(batch, rows, strict=True))
            except Exception as error:  # noqa: BLE001  # whatever failed, it failed these entries only (DESIGN law 7)
                _fail(batch, error)
            else:
                for entry, row in answered:
                    entry.request.put(entry.position, row)

    def _next_batch(self) -> list[_Entry]:
        """
        One text of each waiting request in turn, until the next would not fit; a cancelled request is dropped.
        """
        batch: list[_Entry] = []
        tokens = 0
        while self._requests:
            request = self._requests[0]
            if request.answer.done() or not request.waiting:
                self._requests.popleft()
                continue
            index, token_ids = request.waiting[0]
            if batch and tokens + len(token_ids) > self._max_batch_tokens:
                break
            request.waiting.popleft()
            tokens += len(token_ids)
            batch.append(_Entry(request, index, token_ids))
            self._requests.rotate(-1)
            if not request.waiting:
                self._requests.pop()
        self._queued_tokens -= tokens
        return batch


def _fail(batch: list[_Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.request.answer.done():
            failure = InternalError("the model failed on this request; its log has the details")
            failure.__cause__ = error
            entry.request.answer.set_exception(failure)
