"""
Who gets a batch, with links that answer when a test says so.
"""

import dataclasses
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from time import monotonic
from typing import Any, cast
from unittest.mock import MagicMock

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from predictor.artifact import Artifact
from predictor.replicas.link import IN_FLIGHT, Link, LostError, Task
from predictor.replicas.plan import Plan
from predictor.replicas.pool import Replicas
from serving.errors import Unavailable

BATCH = [[101, 102]]
ROWS = np.array([[0.25, 0.75]], np.float32)


@dataclasses.dataclass(eq=False)
class Held:
    """
    A link that holds every batch until it is let go, and tells that it has it.
    """

    index: int
    asked: "SimpleQueue[int]"
    let_go: threading.Semaphore = dataclasses.field(default_factory=lambda: threading.Semaphore(0))
    lost: bool = False

    def ask(self, _: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        As `Link.ask`.
        """
        self.asked.put(self.index)
        assert self.let_go.acquire(timeout=60)
        if self.lost:
            raise LostError
        return ROWS


@pytest.fixture
def links() -> list[Held]:
    """
    Two that say to the same queue what they are asked.
    """
    asked: SimpleQueue[int] = SimpleQueue()
    return [Held(index, asked) for index in range(2)]


@pytest.fixture
def replicas(artifact: Artifact, links: list[Held]) -> Replicas:
    """
    Replicas that are there, behind these links.
    """
    replicas = Replicas(Task(Plan(len(links)), artifact, "fp32", "console", "warning"))
    replicas._ready = cast("list[Link]", list(links))
    return replicas


def test_least_loaded(replicas: Replicas, links: list[Held]) -> None:
    """
    A batch goes to the replica that has the fewest, and each takes its next one before it has done the first.
    """
    asked = links[0].asked
    with ThreadPoolExecutor(IN_FLIGHT * len(links) + 1) as pool:
        answers: list[Any] = []
        for wave in range(IN_FLIGHT):
            got = set()
            for _ in links:
                answers.append(pool.submit(replicas.classify, BATCH))
                got.add(asked.get(timeout=60))
            assert got == {0, 1}, f"wave {wave}"
        answers.append(pool.submit(replicas.classify, BATCH))  # which waits, for all have enough
        links[1].let_go.release()
        assert asked.get(timeout=60) == 1
        for link in links:
            link.let_go.release(IN_FLIGHT + 1)
        assert all(np.array_equal(answer.result(), ROWS) for answer in answers)


def test_equals_take_turns(replicas: Replicas, links: list[Held]) -> None:
    """
    Batches that come one by one go to each replica in turn.
    """
    for link in links:
        link.let_go.release(2)
    for _ in range(4):
        replicas.classify(BATCH)
    assert sorted(links[0].asked.get(timeout=60) for _ in range(4)) == [0, 0, 1, 1]


def test_busy_time(replicas: Replicas, links: list[Held]) -> None:
    """
    A replica is busy while it has a batch, however many, and that time is what computing took.
    """
    names = ["sentiment_predictor_compute_seconds_total", "sentiment_predictor_replica_busy_seconds_total"]

    def told() -> list[float]:
        by_replica = [REGISTRY.get_sample_value(names[1], {"replica": str(link.index)}) or 0.0 for link in links]
        return [REGISTRY.get_sample_value(names[0]) or 0.0, sum(by_replica)]

    before, began = told(), monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(replicas.classify, BATCH) for _ in range(4)]
        for _ in answers:
            links[0].asked.get(timeout=60)
        for link in links:
            link.let_go.release(2)
    computed, busy = (now - then for now, then in zip(told(), before, strict=True))
    assert 0 < computed <= 2 * (monotonic() - began)
    assert computed == pytest.approx(busy)


def test_lost_batches_leave_room(replicas: Replicas, links: list[Held]) -> None:
    """
    A replica whose batches were lost takes as many as any, once it is there again.
    """
    links[0].lost = True
    replicas._ready = cast("list[Link]", links[:1])
    links[0].let_go.release(2 * IN_FLIGHT)
    for _ in range(IN_FLIGHT):
        with pytest.raises(Unavailable):
            replicas.classify(BATCH)
    links[0].lost = False
    links[0].let_go.release()
    assert np.array_equal(replicas.classify(BATCH), ROWS)


def test_driver_that_hangs_is_ended(replicas: Replicas) -> None:
    """
    A driver with a link that hangs is not waited for.
    """
    driver, hanging = MagicMock(), MagicMock(hangs=True)
    driver.poll.return_value = None
    replicas._watch(driver, [MagicMock(hangs=False), hanging])
    driver.terminate.assert_called_once_with()


def test_computed_elsewhere_once(replicas: Replicas, links: list[Held]) -> None:
    """
    A batch that its replica does not survive is computed by another; if that is lost too, it is refused as 503.
    """
    for link in links:
        link.let_go.release(2)
    links[0].lost = True
    replicas._ready = cast("list[Link]", [links[0]])
    with pytest.raises(Unavailable, match="being started again"):
        replicas.classify(BATCH)
    assert [links[0].asked.get(timeout=60) for _ in range(2)] == [0, 0]


def test_nobody_there(replicas: Replicas) -> None:
    """
    While no replica is there a batch is refused at once, as 503.
    """
    replicas._ready = []
    with pytest.raises(Unavailable, match="being started"):
        replicas.classify(BATCH)
