"""
The predictor by events: its event loop, its compute threads, and its own queue, with batches, turns and admission.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from predictor.pace import Pace
from predictor.queue import Entry, Request, RequestQueue
from serving.errors import Overloaded
from sizing.cores import Cores, Then, Thread, Wait
from sizing.figures import Figures

_ROW = np.ones(1, dtype=np.float32)
# The kernel's weights (sched_prio_to_weight) of a compute thread, whose niceness is 5, and of any other.
_COMPUTE_WEIGHT = 335 / 1024


@dataclass(frozen=True)
class Batching:
    """
    The predictor's settings; the defaults are its own.
    """

    threads: int
    max_batch_tokens: int = 512
    max_queue_tokens: int = 100_000
    max_wait_ms: float = 100


class SimulatedPredictor:
    """
    A predictor; make it inside an asyncio event loop, which the queue's requests belong to.
    """

    def __init__(self, cores: Cores, figures: Figures, batching: Batching) -> None:
        self._cores = cores
        self._figures = figures
        self._pace = Pace(batching.threads)
        self._full_batch_tokens = batching.max_batch_tokens // 2
        self._queue = RequestQueue(
            self._pace,
            threads=batching.threads,
            max_batch_tokens=batching.max_batch_tokens,
            max_tokens=batching.max_queue_tokens,
            max_wait_seconds=batching.max_wait_ms / 1e3,
        )
        self._loop = Thread(cores)
        self._compute = [Thread(cores, _COMPUTE_WEIGHT, behind=self._loop) for _ in range(batching.threads)]
        self._idle = list(self._compute)
        self._waiting: dict[Request, Then] = {}

    def classify(self, lengths: Sequence[int]) -> Generator[Wait, None, bool]:
        """
        Compute texts of so many tokens each.

        Returns:
            whether they were admitted.
        """
        half = self._figures.predictor_ms.of(len(lengths)) / 2e3
        yield partial(self._loop.do, half)
        try:
            request = self._queue.put([range(length) for length in lengths])
        except Overloaded:
            return False
        self._begin()
        yield partial(self._waiting.__setitem__, request)
        yield partial(self._loop.do, half)
        return True

    def used(self) -> dict[str, float]:
        """
        Core-seconds, by what they were used for.
        """
        compute = sum(thread.busy_seconds for thread in self._compute)
        return {"predictor": self._loop.busy_seconds, "compute": compute}

    def _begin(self) -> None:
        while self._idle and (batch := self._queue.next_batch()):
            thread, tokens = self._idle.pop(), sum(len(entry.token_ids) for entry in batch)
            is_alone = len(self._idle) == len(self._compute) - 1
            late_ms = self._figures.handover_ms + (0 if is_alone else self._figures.lock_ms)
            answer = partial(self._answer, thread, batch, tokens, self._cores.now)
            thread.do(self._figures.batch_ms.of(tokens) / 1e3, partial(self._cores.after, late_ms / 1e3, answer))

    def _answer(self, thread: Thread, batch: list[Entry], tokens: int, began: float) -> None:
        self._pace.note(tokens, self._cores.now - began, full=tokens >= self._full_batch_tokens)
        self._idle.append(thread)
        for entry in batch:
            entry.request.put(entry.position, _ROW)
            if entry.request.answer.done():
                self._waiting.pop(entry.request)()
        self._begin()
