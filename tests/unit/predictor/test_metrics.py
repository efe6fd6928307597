import asyncio
import time
from collections.abc import Sequence
from threading import Event
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from predictor import engine
from predictor.artifact import Artifact
from predictor.batcher import Batcher
from predictor.settings import PredictorSettings
from serving.errors import InternalError


def value(name: str) -> float:
    """
    What the predictor tells of itself now.
    """
    return REGISTRY.get_sample_value(f"sentiment_predictor_{name}") or 0.0


def batcher(classify: Any) -> Batcher:
    """
    One thread, whose batches hold eight tokens.
    """
    return Batcher(classify, threads=1, max_batch_tokens=8, max_queue_tokens=100, max_wait_seconds=3600)


@pytest.mark.parametrize("fails", [False, True])
async def test_batches(fails: bool) -> None:
    """
    Each batch counts with its texts, its tokens and the time that it kept a thread busy, also one that fails.
    """

    def classify(batch: Sequence[Sequence[int]]) -> Any:
        time.sleep(0.02)
        if fails:
            raise RuntimeError
        return np.zeros((len(batch), 2), dtype=np.float32)

    names = ("batch_texts_count", "batch_texts_sum", "batch_tokens_sum", "compute_seconds_total")
    before = [value(name) for name in names]
    part = batcher(engine.counted(classify))
    part.start()
    try:
        await part.submit([[1, 2], [3, 4, 5]])
    except InternalError:
        assert fails
    await part.close()
    batches, texts, tokens, seconds = (value(name) - was for name, was in zip(names, before, strict=True))
    assert (batches, texts, tokens) == (1, 2, 5)
    assert seconds >= 0.02


def test_threads(artifact: Artifact) -> None:
    """
    How many threads compute is told as it was set.
    """
    with engine.running(PredictorSettings(compute_threads=3), artifact):
        assert value("compute_threads") == 3


async def test_queue() -> None:
    """
    The tokens that wait are told as they are when somebody asks.
    """
    begun, leave = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def classify(batch: Sequence[Sequence[int]]) -> Any:
        loop.call_soon_threadsafe(begun.set)
        leave.wait()
        return np.zeros((len(batch), 2), dtype=np.float32)

    part = batcher(classify)
    part.start()
    computing = asyncio.create_task(part.submit([[1] * 8]))
    await begun.wait()
    waiting = asyncio.create_task(part.submit([[2] * 6]))
    await asyncio.sleep(0)
    assert value("queue_tokens") == 6
    assert value("max_queue_tokens") == 100
    leave.set()
    await asyncio.gather(computing, waiting)
    assert value("queue_tokens") == 0
    await part.close()
