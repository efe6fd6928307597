"""
Greedy batching: a batch forms from what is queued while the last one computes; no timer.

The cores are used by threads on one copy of the weights, and not by processes. `scripts/bench` on two cores of an Intel
Xeon with AMX, four rounds in turn: two threads 1.92 and 1.78 times one in fp32 (embedded model, full shape), 1.89 and
2.00 times in bf16; two processes 1.93, 1.88, 1.92 and 2.03. On an AMD EPYC (Zen 3), fp32: 1.92 and 2.00 by threads,
1.89 and 1.87 by processes. The threads kept the event loop's 99th-percentile delay within 4 ms and took 44 to 61 MiB
more, the processes 420 to 600 MiB. The forward is few, large operators that let go of the GIL; the embedded model's in
bf16 are so short that the threads wait for it 6 % of their time.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from predictor.metrics import (
    BATCH_TEXTS,
    BATCH_TOKENS,
    MAX_QUEUE_TOKENS,
    QUEUE_TOKENS,
)
from predictor.pace import Pace
from predictor.queue import Entry, RequestQueue
from serving import record
from serving.errors import InternalError, ServiceError, Unavailable

Classify = Callable[[Sequence[Sequence[int]]], NDArray[np.float32]]

_NICENESS = 5


class Batcher:
    """
    Compute threads behind a queue.

    Args:
        classify: probabilities of a batch, float32 (B, L); runs in a compute thread.
        threads: batches at once.
        max_batch_tokens: tokens a batch; a longer text makes a batch of its own.
        max_queue_tokens: tokens waiting at most; a larger request is admitted while nothing else waits.
        max_wait_seconds: longest time that other requests may make one wait.
    """

    def __init__(
        self,
        classify: Classify,
        *,
        threads: int,
        max_batch_tokens: int,
        max_queue_tokens: int,
        max_wait_seconds: float,
    ) -> None:
        self._classify = classify
        self._pace = Pace(threads)
        self._queue = RequestQueue(
            self._pace,
            threads=threads,
            max_batch_tokens=max_batch_tokens,
            max_tokens=max_queue_tokens,
            max_wait_seconds=max_wait_seconds,
        )
        self._full_batch_tokens = max_batch_tokens // 2
        self._wake = asyncio.Event()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="compute", initializer=_give_way)
        self._threads = threads
        QUEUE_TOKENS.set_function(lambda: self._queue.tokens)
        MAX_QUEUE_TOKENS.set(max_queue_tokens)
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
        self._executor.shutdown()

    async def submit(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of N ≥ 1 tokenised texts, in their order.

        Returns:
            float32 (N, L).

        Raises:
            Overloaded: 429, too much waits before them; none was taken.
            InternalError: 500, the forward failed on one of their batches.
            Unavailable: 503, no replica was there for one of them.
        """
        request = self._queue.put(texts)
        self._wake.set()
        try:
            answer = await request.answer
            record.current().end_phase("queue", at=request.first_taken)
            return answer
        finally:  # cancelled or failed: what still waits makes room at once
            self._queue.withdraw(request)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._queue.next_batch()
            if not batch:
                self._wake.clear()
                continue
            try:
                for entry, row in zip(batch, await self._compute(batch), strict=True):
                    entry.request.put(entry.position, row)
            except Exception as error:  # noqa: BLE001  # whatever failed, it failed these entries only (DESIGN law 7)
                _fail(batch, error)

    async def _compute(self, batch: list[Entry]) -> NDArray[np.float32]:
        texts = [entry.token_ids for entry in batch]
        tokens, began = sum(map(len, texts)), monotonic()
        BATCH_TEXTS.observe(len(texts))
        BATCH_TOKENS.observe(tokens)
        rows = await asyncio.get_running_loop().run_in_executor(self._executor, self._classify, texts)
        self._pace.note(tokens, monotonic() - began, full=tokens >= self._full_batch_tokens)
        if len(rows) != len(batch):
            raise ValueError(f"{len(rows)} rows for {len(batch)} texts")
        return rows


def _fail(batch: list[Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.request.answer.done():
            failure = _failure(error)
            failure.__cause__ = error
            entry.request.answer.set_exception(failure)


def _failure(error: Exception) -> ServiceError:
    if isinstance(error, Unavailable):
        return Unavailable(error.message)
    return InternalError("the model failed on this request; its log has the details")


def _give_way() -> None:
    """
    Let the event loop go first on a busy core: requests are read, refused and answered while all cores compute.
    """
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
