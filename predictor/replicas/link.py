"""
What the predictor and the driver of its replicas say to each other: a pipe for each replica, plain values.

To the driver: a `Task` over the first pipe, once; then batches, each as `Packed`. Back: `READY` when the replica has
loaded; for each batch its probabilities, or the error why there are none, or `LOST` where the replica did not survive
it, after which comes `READY` of the one in its place. A pipe that closes is the end of who was at its other end.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.artifact import Artifact, NumericMode
from predictor.replicas.plan import Plan
from serving.logs import LogFormat, LogLevel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

READY = "ready"
LOST = "lost"
BATCH_SECONDS = 30.0
"""
Longest time for a batch: far longer than one of any size takes on a busy core, so that a replica that took it hangs.
"""

_MARGIN_SECONDS = 5.0


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
    A replica, as the predictor has it; one thread at a time.

    Args:
        index: which one.
        connection: the predictor's end of its pipe.
    """

    def __init__(self, index: int, connection: "Connection[object, object]") -> None:
        self.index = index
        self._connection = connection

    def begin(self, task: Task) -> None:
        """
        Tell the driver what to do.
        """
        with contextlib.suppress(OSError):  # it has ended already, as its supervisor will see
            self._connection.send(task)

    def await_ready(self) -> None:
        """
        Return once the replica has loaded.

        Raises:
            LostError: it never will.
            ArtifactError: it cannot be of this model.
        """
        self._receive()

    def ask(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of B ≥ 1 tokenised texts, float32 (B, L).

        Raises:
            LostError: there are none, for a reason that another replica may not have.
        """
        try:
            self._connection.send(pack(batch))
            if not self._connection.poll(BATCH_SECONDS + _MARGIN_SECONDS):
                self._connection.close()  # which ends the driver, if it can still notice
        except OSError:
            raise LostError from None
        rows = self._receive()
        assert isinstance(rows, np.ndarray)  # noqa: S101  # for the type checker
        return rows

    def _receive(self) -> object:
        try:
            message = self._connection.recv()
        except (EOFError, OSError):
            raise LostError from None
        if isinstance(message, Exception):
            raise message
        if isinstance(message, str) and message == LOST:
            raise LostError
        return message


def pack(batch: Sequence[Sequence[int]]) -> Packed:
    """
    Pack the token ids of B ≥ 1 texts.
    """
    ends = np.cumsum([len(text) for text in batch], dtype=np.int32)
    return Packed(np.fromiter((token for text in batch for token in text), np.int32, ends[-1]), ends)
