"""
Ray's driver: starts the replicas, hands them their batches, and replaces those that die.

It ends, and with it all of Ray that it started, when the predictor tells it to or is gone, and when Ray's head is.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, TypeAlias

import psutil
import ray
import structlog
from ray.exceptions import RayError, RayTaskError

from predictor.artifact import ArtifactError
from predictor.replicas.link import BATCH_SECONDS, LOST, READY, Answer, Task
from predictor.replicas.plan import LOCAL, Plan
from predictor.replicas.replica import Contents, Replica, contents_of
from serving import logs

_log = structlog.get_logger("replicas")

_LOAD_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_REACH_SECONDS = 2.0
_AGAIN_SECONDS = 1.0
# Looks at a head across a network that may fail, one after the other, before it is gone.
_MISSES = 3
_LEAST_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_HEAD = ("raylet", "gcs_server")

Pipe: TypeAlias = "Connection[Any, Any]"


class Driver:
    """
    Starts replicas of one model.

    Args:
        task: what they are replicas of.
        contents: its files.
    """

    def __init__(self, task: Task, contents: Contents) -> None:
        self._model = (task.artifact, task.numeric_mode, ray.put(contents))
        self._replica: Any = ray.remote(num_cpus=1)(Replica)

    def start(self) -> Any:
        """
        A replica that has loaded, as soon as the cluster has a core for it.

        Raises:
            ArtifactError: there can be none of this model.
        """
        while True:
            replica = self._replica.remote()
            try:
                ray.get(replica.load.remote(*self._model), timeout=_LOAD_SECONDS)
            except RayError as error:
                if isinstance(error, RayTaskError) and isinstance(error.cause, ArtifactError):
                    raise ArtifactError(str(error.cause)) from None
                _log.warning("a replica did not start", reason=_first_line(error))
                ray.kill(replica)
                time.sleep(_AGAIN_SECONDS)
            else:
                return replica


class Seat:
    """
    A replica, and whichever is in its place after it.

    Args:
        driver: starts them.
        pipe: to the predictor.
        ended: is set once the predictor is gone, or the server of a client.
    """

    def __init__(self, driver: Driver, pipe: Pipe, ended: threading.Event) -> None:
        self._driver = driver
        self._pipe = pipe
        self._ended = ended
        self._replica: Any = None
        self._asked: SimpleQueue[tuple[int, Any, Any]] = SimpleQueue()

    def serve(self) -> None:
        """
        Have the replica answer what comes through the pipe, in threads.
        """
        for task in (self._forward, self._answer):
            threading.Thread(target=self._until_gone, args=(task,), daemon=True).start()

    def _until_gone(self, task: Callable[[], None]) -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                task()
        finally:
            self._ended.set()

    def _forward(self) -> None:
        while True:
            number, batch = self._pipe.recv()
            replica = self._replica
            self._asked.put((number, replica, replica.classify.remote(*batch)))

    def _answer(self) -> None:
        try:
            while True:
                self._replica = self._driver.start()
                self._pipe.send(READY)
                self._answer_while_there()
        except ArtifactError as error:
            self._pipe.send(error)
            self._ended.wait()  # there is nothing more to do

    def _answer_while_there(self) -> None:
        try:
            while True:
                number, replica, answer = self._asked.get()
                if replica is self._replica:  # of those before, all was told to be lost
                    self._pipe.send((number, _got(answer)))
        except RayError as error:
            _log.warning("a replica is lost", reason=_first_line(error))
            self._pipe.send(LOST)
            ray.kill(self._replica)  # for it may only hang


def main() -> None:
    """
    Run until the predictor or Ray's head is gone.
    """
    pipes: list[Pipe] = [Connection(int(descriptor)) for descriptor in sys.argv[1:]]
    task: Task = pipes[0].recv()
    logs.configure(task.log_format, task.log_level)
    logging.getLogger("ray").setLevel(logging.ERROR)
    contents = contents_of(task.artifact)
    is_there = _connect(task.plan, sum(content.nbytes for content in contents.values()))
    signal.signal(signal.SIGTERM, _stop)  # Ray has set its own
    driver, ended = Driver(task, contents), threading.Event()
    for pipe in pipes:
        Seat(driver, pipe, ended).serve()
    while not ended.wait(_LOOK_SECONDS):
        if not is_there():
            _log.warning("Ray's head is gone")
            break
    os._exit(1)  # Ray would take a minute to say farewell to nobody; what it has started here ends with this process


def _stop(*_: object) -> None:
    ray.shutdown()
    os._exit(0)  # whatever the threads still wait for


def _connect(plan: Plan, model_bytes: int) -> Callable[[], bool]:
    """
    Join the cluster, once its head can be reached, or start one.

    Returns:
        whether its head is still there.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if plan.address == LOCAL:
        ray.init(
            LOCAL,
            num_cpus=plan.count,
            include_dashboard=False,
            object_store_memory=max(_LEAST_OBJECT_STORE_BYTES, 2 * model_bytes),
            **quiet,
        )
        return _has_children
    head = plan.address.removeprefix("ray://")
    if ":" in head:
        _await(head)
    ray.init(plan.address, **quiet)
    if ":" not in head:  # `auto`
        head = ray.get_runtime_context().gcs_address
    return lambda: any(_is_reached(head) for _ in range(_MISSES))


def _await(address: str) -> None:
    if not _is_reached(address):
        _log.warning("Ray's head cannot be reached; waiting for it", address=address)
        while not _is_reached(address):
            time.sleep(_AGAIN_SECONDS)


def _has_children() -> bool:
    """
    Whether the head that this process started lives.
    """
    head = [child for child in psutil.Process().children() if child.name() in _HEAD]
    return len(head) == len(_HEAD) and all(child.status() != psutil.STATUS_ZOMBIE for child in head)


def _is_reached(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except OSError:
        time.sleep(_LOOK_SECONDS)
        return False
    return True


def _got(answer: Any) -> Answer:
    """
    Probabilities of a batch, or why there are none.

    Raises:
        RayError: the replica did not survive it.
    """
    try:
        rows: Answer = ray.get(answer, timeout=BATCH_SECONDS)
    except RayTaskError as error:
        return RuntimeError(_first_line(error.cause))
    return rows


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


if __name__ == "__main__":
    main()
