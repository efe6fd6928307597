"""
Who gets a batch, with links that answer when a test says so.
"""

import dataclasses
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

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
        self.let_go.acquire()
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
                got.add(asked.get())
            assert got == {0, 1}, f"wave {wave}"
        answers.append(pool.submit(replicas.classify, BATCH))  # which waits, for all have enough
        links[1].let_go.release()
        assert asked.get() == 1
        for link in links:
            link.let_go.release(IN_FLIGHT + 1)
        assert all(np.array_equal(answer.result(), ROWS) for answer in answers)


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
    assert [links[0].asked.get() for _ in range(2)] == [0, 0]


def test_nobody_there(replicas: Replicas) -> None:
    """
    While no replica is there a batch is refused at once, as 503.
    """
    replicas._ready = []
    with pytest.raises(Unavailable, match="being started"):
        replicas.classify(BATCH)
