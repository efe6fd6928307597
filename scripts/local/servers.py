"""
Servers for a measurement: each on free ports, stopped when it is over.
"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from local import redis_server
from local.supervisor import Failure, death_signal, free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """
    A running server.
    """

    port: int
    grpc_port: int
    process: psutil.Popen


@dataclass(frozen=True)
class Redis:
    """
    A running Redis.
    """

    url: str
    process: psutil.Popen


@dataclass(frozen=True)
class Stack:
    """
    The whole service.
    """

    redis: Redis
    predictor: Server
    transformer: Server


@contextlib.contextmanager
def stack(**environment: str) -> Iterator[Stack]:
    """
    The whole service, both parts with these settings.

    Raises:
        Failure: a part did not start.
    """
    with redis() as cache, service("predictor", **environment) as predictor:
        flags = ["--predictor_host", f"127.0.0.1:{predictor.port}"]
        with service("transformer", *flags, REDIS_URL=cache.url, **environment) as transformer:
            yield Stack(cache, predictor, transformer)


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """
    A Redis.

    Raises:
        Failure: there is none.
    """
    server, port = redis_server.find(), free_port()
    if server is None:
        raise Failure("no Redis server; put redis-server on the PATH")
    with _process(redis_server.command_of(server, port)) as process:
        yield Redis(f"redis://127.0.0.1:{port}/0", process)


def service(package: str, *flags: str, **environment: str) -> contextlib.AbstractContextManager[Server]:
    """
    A service of ours, with these flags and settings.
    """
    return server(["-m", package], *flags, LOG_LEVEL="error", DRAIN_SECONDS="0", **environment)


@contextlib.contextmanager
def server(program: list[str], *flags: str, **environment: str) -> Iterator[Server]:
    """
    A Python program with KServe's flags, once it is ready.

    Raises:
        Failure: it did not start.
    """
    port, grpc = free_port(), free_port()
    command = [sys.executable, *program, "--http_port", str(port), "--grpc_port", str(grpc), *flags]
    with _process(command, **environment) as process:
        _await_ready(Path(program[-1]).stem, port, process)
        yield Server(port, grpc, process)


@contextlib.contextmanager
def _process(command: list[str], **environment: str) -> Iterator[psutil.Popen]:
    process = psutil.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        preexec_fn=death_signal(),  # no thread of ours holds a lock now
    )
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.terminate()
        process.wait()


def _await_ready(name: str, port: int, process: psutil.Popen) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready")
            return
        time.sleep(0.05)
    raise Failure(f"the {name} did not start; its own lines above say why")
