import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.batcher import Batcher
from serving.errors import InternalError, Overloaded, Unavailable

POISON = -1
HANGS_SECONDS = 10  # after which a test that waits in vain fails


class Engine:
    """
    Answers each text with its first two ids, fails on poison, and waits for leave where it is gated.
    """

    def __init__(self, *, gated: bool = False) -> None:
        self.batches: list[list[Sequence[int]]] = []
        self.begun: asyncio.Queue[list[Sequence[int]]] = asyncio.Queue()
        self.threads: set[threading.Thread] = set()
        self.leave = threading.Event()
        if not gated:
            self.leave.set()
        self._loop = asyncio.get_running_loop()

    def __call__(self, batch: Sequence[Sequence[int]]) -> Any:
        self.batches.append(list(batch))
        self.threads.add(threading.current_thread())
        self._loop.call_soon_threadsafe(self.begun.put_nowait, list(batch))
        self.leave.wait()
        if any(POISON in ids for ids in batch):
            raise RuntimeError("poison")
        return np.array([ids[:2] for ids in batch], dtype=np.float32)


@asynccontextmanager
async def _running(
    engine: Any, *, threads: int = 1, batch: int = 8, queue: int = 10_000, wait: float = 3600
) -> AsyncIterator[Batcher]:
    batcher = Batcher(engine, threads=threads, max_batch_tokens=batch, max_queue_tokens=queue, max_wait_seconds=wait)
    batcher.start()
    try:
        async with asyncio.timeout(HANGS_SECONDS):
            yield batcher
    finally:
        if isinstance(engine, Engine):
            engine.leave.set()
        await batcher.close()


def _texts(request: int, lengths: Sequence[int]) -> list[list[int]]:
    return [[request, index] + [0] * (length - 2) for index, length in enumerate(lengths)]


@dataclass
class Plan:
    """
    One request of a scenario: its texts' lengths, the poisoned one if any, and when its caller leaves if ever.
    """

    lengths: list[int]
    poisoned: int | None = None
    leaves_after: int | None = None
    texts: list[list[int]] = field(default_factory=list)


LENGTHS = st.lists(st.integers(2, 7), min_size=1, max_size=6)
PLANS = st.lists(st.builds(Plan, LENGTHS, st.none() | st.integers(0, 9), st.none() | st.integers(0, 4)), max_size=12)


async def _play(batcher: Batcher, plans: list[Plan]) -> list[Any]:
    for number, plan in enumerate(plans, 1000):
        plan.texts = _texts(number, plan.lengths)
        if plan.poisoned is not None and plan.poisoned < len(plan.texts):
            plan.texts[plan.poisoned].append(POISON)
    tasks = [asyncio.create_task(batcher.submit(plan.texts)) for plan in plans]
    for turn in range(5):
        for task, plan in zip(tasks, plans, strict=True):
            if plan.leaves_after == turn:
                task.cancel()
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


@given(PLANS, st.integers(1, 3), st.integers(1, 30))
async def test_any_mix(plans: list[Plan], threads: int, batch: int) -> None:
    """
    Whoever leaves and whatever fails, a request gets its own rows in order, or fails with a batch that held its entry.

    The queue is empty afterwards: it takes a request as large as itself.
    """
    queue = 2000
    engine = Engine()
    async with _running(engine, threads=threads, batch=batch, queue=queue) as batcher:
        answers = await _play(batcher, plans)
        failed = [ids for one in engine.batches if any(POISON in ids for ids in one) for ids in one]
        for plan, answer in zip(plans, answers, strict=True):
            if isinstance(answer, asyncio.CancelledError):
                assert plan.leaves_after is not None
            elif isinstance(answer, BaseException):
                assert isinstance(answer, InternalError)
                assert any(ids in failed for ids in plan.texts)
            else:
                assert answer.tolist() == [ids[:2] for ids in plan.texts]
                assert not any(ids in failed for ids in plan.texts)
        computed = [tuple(ids) for one in engine.batches for ids in one]
        assert len(computed) == len(set(computed))
        assert all(len(one) == 1 or sum(map(len, one)) <= batch for one in engine.batches)
        await batcher.submit([[1, 1]])
        assert (await batcher.submit([[2, 2] + [0] * (queue - 2)])).tolist() == [[2, 2]]


@given(st.lists(LENGTHS, max_size=12), st.integers(2, 60))
async def test_admission(requests: list[list[int]], queue: int) -> None:
    """
    A request is admitted whole if nothing waits or all its tokens fit, and else refused at once with none taken.
    """
    engine, waiting, admitted = Engine(gated=True), 0, []
    async with _running(engine, queue=queue) as batcher:
        first = asyncio.create_task(batcher.submit([[1, 1]]))
        await engine.begun.get()
        tasks = [asyncio.create_task(batcher.submit(_texts(n, lengths))) for n, lengths in enumerate(requests, 1000)]
        await asyncio.sleep(0)
        for lengths in requests:
            admitted.append(not waiting or waiting + sum(lengths) <= queue)
            waiting += sum(lengths) * admitted[-1]
        assert [not task.done() for task in tasks] == admitted
        engine.leave.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await first
    assert [isinstance(answer, Overloaded) for answer in answers] == [not one for one in admitted]
    computed = {ids[0] for one in engine.batches for ids in one}
    assert computed == {1} | {number for number, one in enumerate(admitted, 1000) if one}


async def test_interleaving() -> None:
    """
    One text behind a request of a thousand is in the next batch that forms.
    """
    engine = Engine(gated=True)
    async with _running(engine) as batcher:
        large = asyncio.create_task(batcher.submit(_texts(1, [2] * 1000)))
        await engine.begun.get()
        small = asyncio.create_task(batcher.submit([[2, 0]]))
        await asyncio.sleep(0)
        engine.leave.set()
        assert [2, 0] in await engine.begun.get()
        assert (await small).tolist() == [[2, 0]]
        assert len(await large) == 1000


async def test_turns() -> None:
    """
    Waiting requests take turns of a quarter of a batch; one that a full batch cuts short goes on in the next.
    """
    engine = Engine(gated=True)
    async with _running(engine, batch=36) as batcher:
        first = asyncio.create_task(batcher.submit([[9, 0]]))
        await engine.begun.get()
        rest = [asyncio.create_task(batcher.submit(_texts(number, [4] * 6))) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        engine.leave.set()
        await asyncio.gather(first, *rest)
    turns = [[(ids[0], ids[1]) for ids in one] for one in engine.batches[1:]]
    assert turns[0] == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (1, 2), (1, 3), (2, 2)]
    assert turns[1] == [(2, 3), (3, 2), (3, 3), (1, 4), (1, 5), (2, 4), (2, 5), (3, 4), (3, 5)]


async def test_small_requests() -> None:
    """
    Small requests are done one after the other, each in one batch, and not all at the end.
    """
    engine = Engine(gated=True)
    async with _running(engine, batch=32) as batcher:
        first = asyncio.create_task(batcher.submit([[9, 0]]))
        await engine.begun.get()
        rest = [asyncio.create_task(batcher.submit(_texts(number, [2] * 4))) for number in range(1, 9)]
        await asyncio.sleep(0)
        engine.leave.set()
        await asyncio.gather(first, *rest)
    assert [{ids[0] for ids in one} for one in engine.batches[1:]] == [{1, 2, 3, 4}, {5, 6, 7, 8}]


async def test_share() -> None:
    """
    A batch leaves the other threads their share of what waits.
    """
    engine = Engine(gated=True)
    async with _running(engine, threads=2, batch=40) as batcher:
        waiting = asyncio.create_task(batcher.submit(_texts(1, [10] * 6)))
        sizes = [len(await engine.begun.get()) for _ in range(2)]
        engine.leave.set()
        await waiting
    assert sizes == [3, 1]


async def test_cancelled_is_skipped() -> None:
    """
    Texts whose caller left before their batch formed are not computed, and what comes after them is.
    """
    engine = Engine(gated=True)
    async with _running(engine, queue=20) as batcher:
        first = asyncio.create_task(batcher.submit([[1, 0]]))
        await engine.begun.get()
        left = asyncio.create_task(batcher.submit(_texts(2, [4] * 4)))
        next_one = asyncio.create_task(batcher.submit([[3, 0]]))
        await asyncio.sleep(0)
        left.cancel()
        engine.leave.set()
        assert (await next_one).tolist() == [[3, 0]]
        assert (await batcher.submit(_texts(4, [5] * 4))).tolist() == [[4, index] for index in range(4)]
        await first
    assert 2 not in {ids[0] for one in engine.batches for ids in one}


async def test_concurrency() -> None:
    """
    As many batches compute at once as there are threads, none of them on the event loop's.
    """
    engine = Engine(gated=True)
    async with _running(engine, threads=2, batch=2) as batcher:
        both = [asyncio.create_task(batcher.submit([[number, 0]])) for number in (1, 2)]
        await engine.begun.get()
        await engine.begun.get()
        engine.leave.set()
        await asyncio.gather(*both)
    assert len(engine.threads) == 2
    assert threading.current_thread() not in engine.threads


async def test_failure_is_ours() -> None:
    """
    A failing forward is a 500 whose words say nothing of it, while its cause stays for the log.
    """
    async with _running(Engine()) as batcher:
        with pytest.raises(InternalError) as caught:
            await batcher.submit([[1, POISON]])
    assert "poison" not in caught.value.message
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_nothing_to_compute_with() -> None:
    """
    Where the engine has no replica now, the request is told to come again.
    """

    def classify(batch: Sequence[Sequence[int]]) -> Any:
        raise Unavailable("later")

    async with _running(classify) as batcher:
        with pytest.raises(Unavailable, match="later"):
            await batcher.submit([[1, 0]])


@pytest.mark.parametrize("rows", [0, 1, 3])
async def test_wrong_rows(rows: int) -> None:
    """
    A forward that answers another number of rows than texts fails these texts, and the next ones are served.
    """

    def classify(batch: Sequence[Sequence[int]]) -> Any:
        return np.zeros((rows if len(batch) == 2 else len(batch), 2), dtype=np.float32)

    async with _running(classify) as batcher:
        answer = asyncio.create_task(batcher.submit([[1, 0], [1, 1]]))
        await asyncio.wait({answer, *batcher._workers}, return_when=asyncio.FIRST_COMPLETED)
        assert answer.done()
        assert isinstance(answer.exception(), InternalError)
        assert (await batcher.submit([[2, 0]])).shape == (1, 2)


@asynccontextmanager
async def _paced(wait: float) -> AsyncIterator[tuple[Engine, Batcher]]:
    """
    A batcher that knows its pace and computes one batch until it gets leave.
    """
    engine = Engine()
    async with _running(engine, wait=wait) as batcher:
        await batcher.submit(_texts(0, [8]))
        engine.leave.clear()
        computing = asyncio.create_task(batcher.submit(_texts(1, [8])))
        await engine.begun.get()
        await engine.begun.get()
        yield engine, batcher
        engine.leave.set()
        await computing


async def test_too_long_a_wait_is_refused() -> None:
    """
    A request that others would make wait longer than the limit, and four times as long as it computes, is refused.
    """
    async with _paced(wait=1e-9) as (engine, batcher):
        admitted = [asyncio.create_task(batcher.submit(_texts(number, [4, 4]))) for number in range(2, 7)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await batcher.submit(_texts(7, [4, 4]))
        engine.leave.set()
        assert [row[0, 0] for row in await asyncio.gather(*admitted)] == [2, 3, 4, 5, 6]


async def test_large_request_shuts_out_no_small_one() -> None:
    """
    However much waits of one request, a smaller one is admitted beside it.
    """
    async with _paced(wait=1e-9) as (engine, batcher):
        large = asyncio.create_task(batcher.submit(_texts(2, [4] * 1000)))
        small = asyncio.create_task(batcher.submit(_texts(3, [4])))
        await asyncio.sleep(0)
        engine.leave.set()
        assert (await small)[0, 0] == 3
        assert not large.done()
        await large
