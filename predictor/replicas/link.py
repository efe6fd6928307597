"""
What the predictor and the driver of its replicas say to each other: a pipe for each replica, plain values.

To the driver: a `Task` over the first pipe, once; then batches, each a number and a `Packed`. Back: `READY` when the
replica has loaded; the number of each batch with its probabilities or the error why there are none; `LOST` where the
replica did not survive one, for all that it had, and `READY` of the one in its place. An `ArtifactError` says that
there can be none. A pipe that closes is the end of who was at its other end.
"""

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from predictor.artifact import Artifact, ArtifactError, NumericMode
from predictor.replicas.plan import Plan
from serving.logs import LogFormat, LogLevel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

READY = "ready"
LOST = "lost"
IN_FLIGHT = 2
"""
Batches that a replica has at most: one that it computes, and the next, which would else be on its way meanwhile.
"""

BATCH_SECONDS = 30.0
"""
Longest time for a batch: far longer than one of any size takes on a busy core, so that a replica that took it hangs.
"""

_MARGIN_SECONDS = 5.0

Answer: TypeAlias = "NDArray[np.float32] | Exception"


@dataclass(frozen=True, slots=True)
class Task:
    """
    What replicas there are to be.
    """

    plan: Plan
    artifact: Artifact
    numeric_mode: NumericMode
    log_format: LogFormat
    log_level: LogLevel


class Packed(NamedTuple):
    """
    A batch of B texts, as two arrays.

    Attributes:
        token_ids: (T,), the texts' end to end.
        ends: (B,), where each text ends among them.
    """

    token_ids: NDArray[np.int32]
    ends: NDArray[np.int32]


class LostError(Exception):
    """
    The replica, or the driver, ended or hangs.
    """


class Link:
    """
    A replica, as the predictor has it.

    Args:
        index: which one.
        connection: the predictor's end of its pipe.

    Attributes:
        hangs: whether its driver has left a batch without a word for too long.
    """

    def __init__(self, index: int, connection: "Connection[object, object]") -> None:
        self.index = index
        self.hangs = False
        self._connection = connection
        self._lock = threading.Lock()
        self._is_ready = False
        self._numbers = itertools.count()
        self._asked: dict[int, Future[NDArray[np.float32]]] = {}

    def begin(self, task: Task) -> None:
        """
        Tell the driver what to do.
        """
        with contextlib.suppress(OSError):  # it has ended already, as its supervisor will see
            self._connection.send(task)

    def ask(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of B ≥ 1 tokenised texts, float32 (B, L); several threads may ask at once.

        Raises:
            LostError: there are none, for a reason that another replica may not have.
        """
        answer: Future[NDArray[np.float32]] = Future()
        with self._lock:
            if not self._is_ready:
                raise LostError
            number = next(self._numbers)
            self._asked[number] = answer
            with contextlib.suppress(OSError):  # the driver is gone, which `listen` tells
                self._connection.send((number, pack(batch)))
        try:
            return answer.result(IN_FLIGHT * BATCH_SECONDS + _MARGIN_SECONDS)
        except TimeoutError:
            self.hangs = True
            raise LostError from None

    def listen(self) -> Iterator[bool]:
        """
        Take in what the driver says, until it ends.

        Yields:
            whether there is a replica, whenever that changes.

        Raises:
            ArtifactError: there can be none.
        """
        try:
            while True:
                match self._connection.recv():
                    case str(state):
                        yield from self._turn(is_ready=state == READY)
                    case ArtifactError() as refusal:
                        raise refusal
                    case (int(number), answer):
                        self._answer(number, answer)
        except (EOFError, OSError):
            yield from self._turn(is_ready=False)

    def _turn(self, *, is_ready: bool) -> Iterator[bool]:
        with self._lock:
            self._is_ready = is_ready
            lost, self._asked = self._asked, {}
        yield is_ready
        for answer in lost.values():  # who hears it looks for another replica, and must not be given this one
            answer.set_exception(LostError())

    def _answer(self, number: int, rows: object) -> None:
        with self._lock:
            answer = self._asked.pop(number, None)
        if answer is None:  # asked while LOST was on its way, and told to be lost
            return
        if isinstance(rows, Exception):
            answer.set_exception(rows)
        else:
            answer.set_result(cast("NDArray[np.float32]", rows))


def pack(batch: Sequence[Sequence[int]]) -> Packed:
    """
    Pack the token ids of B ≥ 1 texts.
    """
    ends = np.cumsum([len(text) for text in batch], dtype=np.int32)
    return Packed(np.fromiter((token for text in batch for token in text), np.int32, ends[-1]), ends)
