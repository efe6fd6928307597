"""
The replicas as the predictor has them: a call that takes a batch, whichever of them computes it.

A batch goes to the least loaded of them: the batcher has as many threads as all of them take batches at once.
"""

import os
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from predictor.artifact import ArtifactError
from predictor.metrics import (
    COMPUTE_SECONDS,
    REPLICA_BATCHES,
    REPLICA_BUSY_SECONDS,
    REPLICA_READY,
    REPLICA_RESTARTS,
)
from predictor.replicas.link import BATCH_SECONDS, IN_FLIGHT, Link, LostError, Task
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
        self._ready: list[Link] = []
        self._loads: Counter[int] = Counter()
        self._busy_since: dict[int, float] = {}
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
        try:
            rows = link.ask(batch)
        finally:
            self._give_back(link)
        REPLICA_BATCHES.labels(link.index).inc()
        return rows

    def _take(self) -> Link:
        with self._changed:
            free = self._changed.wait_for(lambda: self._free() or not self._ready, BATCH_SECONDS) and self._free()
            if not free:
                raise Unavailable("the model is being started; try again shortly")
            link = min(free, key=lambda link: self._loads[link.index])
            self._ready.remove(link)
            self._ready.append(link)  # of equals each has its turn
            if not self._loads[link.index]:
                self._busy_since[link.index] = monotonic()
            self._loads[link.index] += 1
            return link

    def _free(self) -> list[Link]:
        return [link for link in self._ready if self._loads[link.index] < IN_FLIGHT]

    def _give_back(self, link: Link) -> None:
        with self._changed:
            now = monotonic()
            seconds = now - self._busy_since[link.index]
            COMPUTE_SECONDS.inc(seconds)
            REPLICA_BUSY_SECONDS.labels(link.index).inc(seconds)
            self._busy_since[link.index] = now
            self._loads[link.index] -= 1
            self._changed.notify()

    def _listen(self, link: Link) -> None:
        try:
            for is_ready in link.listen():
                self._turn(link, is_ready=is_ready)
        except ArtifactError as error:
            _log.error("a replica cannot load", reason=str(error))
            with self._changed:
                self._refusal = error
                self._changed.notify_all()

    def _turn(self, link: Link, *, is_ready: bool) -> None:
        with self._changed:
            if is_ready:
                self._ready.append(link)
                REPLICA_RESTARTS.labels(link.index).inc(link.index in self._known)
                self._known.add(link.index)
            elif link in self._ready:
                self._ready.remove(link)
            REPLICA_READY.labels(link.index).set(is_ready)
            self._changed.notify_all()

    def _supervise(self) -> None:
        while not self._closing.is_set():
            pipes = [Pipe() for _ in range(self._task.plan.count)]
            links = [Link(index, end) for index, (end, _) in enumerate(pipes)]
            driver = self._start_driver([end for _, end in pipes])
            links[0].begin(self._task)
            listeners = [threading.Thread(target=self._listen, args=(link,), daemon=True) for link in links]
            for listener in listeners:
                listener.start()
            self._watch(driver, links)
            for listener in listeners:
                listener.join()
            if not self._closing.wait(_LOOK_SECONDS):
                _log.warning("Ray is started again", address=self._task.plan.address)

    def _start_driver(self, theirs: Sequence["Connection[object, object]"]) -> "subprocess.Popen[bytes]":
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
        return driver

    def _watch(self, driver: "subprocess.Popen[bytes]", links: Sequence[Link]) -> None:
        """
        Return once a driver has ended, by itself or since nothing is to be expected of it.
        """
        given_up = monotonic() + _START_SECONDS
        while driver.poll() is None and monotonic() < given_up and not self._closing.wait(_LOOK_SECONDS):
            if any(link.hangs for link in links):
                break
            if self._ready:
                given_up = monotonic() + _START_SECONDS
        driver.terminate()
        try:
            driver.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()
