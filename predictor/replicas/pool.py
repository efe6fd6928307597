"""
The replicas as the predictor has them: a call that takes a batch, whichever of them computes it.

A batch goes to a replica that has none, so to the least loaded: the batcher has as many threads as there are replicas.
"""

import os
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Pipe
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from predictor.artifact import ArtifactError
from predictor.metrics import REPLICA_BATCHES, REPLICA_BUSY_SECONDS, REPLICA_READY, REPLICA_RESTARTS
from predictor.replicas.link import BATCH_SECONDS, Link, LostError, Task
from predictor.replicas.plan import LOCAL
from serving.errors import Unavailable

_log = structlog.get_logger("replicas")

# For Ray's start, the weights' way to a node and into a replica, on a slow machine.
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 3.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A driver that is gone does not come back: its replicas make room for the next one's at once.
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "0",
}


class Replicas:
    """
    Replicas of the engine on Ray.

    Ray's driver is a child process, started anew when it has ended or had no replica for too long.

    Args:
        task: what they are replicas of.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._changed = threading.Condition()
        self._links: list[Link] = []
        self._ready: set[Link] = set()
        self._idle: deque[Link] = deque()
        self._known: set[int] = set()
        self._refusal: ArtifactError | None = None
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="replicas", daemon=True)
        for index in range(task.plan.count):
            for metric in (REPLICA_BATCHES, REPLICA_BUSY_SECONDS, REPLICA_RESTARTS):
                metric.labels(index)

    def start(self) -> None:
        """
        Return once all replicas are ready, however long the cluster keeps one waiting.

        Raises:
            ArtifactError: there can be none of this model.
        """
        self._supervisor.start()
        with self._changed:
            self._changed.wait_for(lambda: self._refusal or len(self._ready) == self._task.plan.count)
        if self._refusal:
            raise self._refusal

    def close(self) -> None:
        """
        End the replicas, and their Ray where it is theirs alone.
        """
        self._closing.set()
        if self._supervisor.is_alive():
            self._supervisor.join()

    def available(self) -> bool:
        """
        Whether any replica is there.
        """
        return bool(self._ready)

    def classify(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of B ≥ 1 tokenised texts, float32 (B, L); what one replica does not survive is for another, once.

        Raises:
            Unavailable: 503, there is no replica now.
        """
        try:
            return self._ask(batch)
        except LostError:
            _log.warning("a batch is computed again")
        try:
            return self._ask(batch)
        except LostError:
            raise Unavailable("the model is being started again; try again shortly") from None

    def _ask(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        link = self._take()
        began = monotonic()
        try:
            rows = link.ask(batch)
        except LostError:
            self._await(link)
            raise
        except Exception:
            self._give_back(link)
            raise
        finally:
            REPLICA_BUSY_SECONDS.labels(link.index).inc(monotonic() - began)
        REPLICA_BATCHES.labels(link.index).inc()
        self._give_back(link)
        return rows

    def _take(self) -> Link:
        with self._changed:
            self._changed.wait_for(lambda: self._idle or not self._ready, BATCH_SECONDS)
            if not self._idle:
                raise Unavailable("the model is being started; try again shortly")
            return self._idle.popleft()

    def _give_back(self, link: Link) -> None:
        with self._changed:
            if link in self._ready:  # and its driver has not ended meanwhile
                self._idle.append(link)
                self._changed.notify()

    def _await(self, link: Link) -> None:
        """
        Have a thread wait for a link's replica, the first or the next.
        """
        with self._changed:
            self._ready.discard(link)
            if link in self._links:
                REPLICA_READY.labels(link.index).set(0)
            self._changed.notify_all()
        threading.Thread(target=self._welcome, args=(link,), name=f"replica {link.index}", daemon=True).start()

    def _welcome(self, link: Link) -> None:
        refusal = None
        try:
            link.await_ready()
        except LostError:  # with its driver: that is the supervisor's business
            return
        except ArtifactError as error:
            _log.error("a replica cannot load", reason=str(error))
            refusal = error
        with self._changed:
            self._refusal = self._refusal or refusal
            if not refusal and link in self._links:
                self._ready.add(link)
                self._idle.append(link)
                REPLICA_READY.labels(link.index).set(1)
                REPLICA_RESTARTS.labels(link.index).inc(link.index in self._known)
                self._known.add(link.index)
            self._changed.notify_all()

    def _supervise(self) -> None:
        while not self._closing.is_set():
            driver = self._start_driver()
            self._watch(driver)
            with self._changed:
                for link in self._links:
                    REPLICA_READY.labels(link.index).set(0)
                self._links = []
                self._ready.clear()
                self._idle.clear()
                self._changed.notify_all()
            if not self._closing.wait(_LOOK_SECONDS):
                _log.warning("Ray is started again", address=self._task.plan.address)

    def _start_driver(self) -> "subprocess.Popen[bytes]":
        pipes = [Pipe() for _ in range(self._task.plan.count)]
        theirs = [end for _, end in pipes]
        environment = {**_ENVIRONMENT, **os.environ}
        if self._task.plan.address == LOCAL:  # its ports are open to the network, whatever address it is told
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}
        driver = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-m", "predictor.replicas.driver", *(str(end.fileno()) for end in theirs)],
            env=environment,
            pass_fds=[end.fileno() for end in theirs],
            start_new_session=True,  # what a terminal interrupts is the predictor, which then drains
        )
        for end in theirs:
            end.close()
        self._links = [Link(index, end) for index, (end, _) in enumerate(pipes)]
        self._links[0].begin(self._task)
        for link in self._links:
            self._await(link)
        return driver

    def _watch(self, driver: "subprocess.Popen[bytes]") -> None:
        """
        Return once a driver has ended, by itself or since nothing is to be expected of it.
        """
        given_up = monotonic() + _START_SECONDS
        while driver.poll() is None and monotonic() < given_up and not self._closing.wait(_LOOK_SECONDS):
            if self._ready:
                given_up = monotonic() + _START_SECONDS
        driver.terminate()
        try:
            driver.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()
