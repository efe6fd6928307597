"""
The predictor's end of a replica's pipe, before a driver that says what a test wants.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from predictor.artifact import ArtifactError
from predictor.replicas import link
from predictor.replicas.link import IN_FLIGHT, LOST, READY, Link, LostError

BATCH = [[101, 102]]
ROWS = np.array([[0.25, 0.75]], np.float32)
_A_WHILE_SECONDS = 0.1


class Stage:
    """
    A link whose replica is there, and its driver's end.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.driver: Connection[Any, Any]
        ours, self.driver = Pipe()
        self.link = Link(0, ours)
        self.told = self.link.listen()
        self.driver.send(READY)
        assert next(self.told)
        self._pool = pool

    def ask(self) -> tuple[int, Future[NDArray[np.float32]]]:
        """
        A batch that is under way: its number, and what comes of it.
        """
        answer = self._pool.submit(self.link.ask, BATCH)
        number, _ = self.driver.recv()
        return number, answer

    def close(self) -> None:
        """
        End the driver, and hear of it.
        """
        self.driver.close()
        assert not any(self.told)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """
    Batches may be in flight there.
    """
    with ThreadPoolExecutor(IN_FLIGHT) as pool, closing(Stage(pool)) as stage:
        yield stage


def test_each_gets_its_own(stage: Stage) -> None:
    """
    Batches in flight get their own rows, or their own error, in whatever order they come back.
    """
    (first, rows), (second, refused) = stage.ask(), stage.ask()
    stage.driver.send((second, RuntimeError("no")))
    stage.driver.send((first, ROWS))
    stage.close()
    assert np.array_equal(rows.result(), ROWS)
    with pytest.raises(RuntimeError, match="no"):
        refused.result()


@pytest.mark.parametrize("lose", [lambda driver: driver.send(LOST), Connection.close], ids=["replica", "driver"])
def test_lost_with_all_it_had(stage: Stage, lose: Callable[["Connection[Any, Any]"], None]) -> None:
    """
    All that a replica had is lost with it or with the driver; that it is away is told first, lest it is asked again.
    """
    answers = [stage.ask()[1] for _ in range(IN_FLIGHT)]
    lose(stage.driver)
    assert next(stage.told) is False
    with pytest.raises(LostError):
        stage.link.ask(BATCH)
    assert not wait(answers, _A_WHILE_SECONDS).done
    stage.close()
    for answer in answers:
        with pytest.raises(LostError):
            answer.result()


def test_another_in_its_place(stage: Stage) -> None:
    """
    The replica in a lost one's place is asked again.
    """
    stage.driver.send(LOST)
    stage.driver.send(READY)
    assert [next(stage.told), next(stage.told)] == [False, True]
    number, rows = stage.ask()
    stage.driver.send((number, ROWS))
    stage.close()
    assert np.array_equal(rows.result(), ROWS)


def test_late_answer(stage: Stage) -> None:
    """
    An answer to what was told to be lost is nobody's, and harms nothing.
    """
    number, lost = stage.ask()
    for message in (LOST, READY, (number, ROWS)):
        stage.driver.send(message)
    assert [next(stage.told), next(stage.told)] == [False, True]
    number, rows = stage.ask()
    stage.driver.send((number, ROWS))
    stage.close()
    assert np.array_equal(rows.result(), ROWS)
    with pytest.raises(LostError):
        lost.result()


def test_driver_that_hangs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A batch that a driver leaves without a word for too long is lost, and the link is known to hang.
    """
    monkeypatch.setattr(link, "BATCH_SECONDS", 0.01)
    monkeypatch.setattr(link, "_MARGIN_SECONDS", 0.01)
    assert not stage.link.hangs
    with pytest.raises(LostError):
        stage.ask()[1].result()
    assert stage.link.hangs


def test_none_can_be(stage: Stage) -> None:
    """
    That there can be no replica of a model is told as it is.
    """
    stage.driver.send(ArtifactError("no such model"))
    with pytest.raises(ArtifactError, match="no such model"):
        next(stage.told)
