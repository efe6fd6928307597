"""
One process of the stack, which can be killed, hung and started again where it was.
"""

import asyncio
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from fault.client import Client, get
from local import redis_server
from local.supervisor import Child, Failure, free_port

READY_SECONDS = 120
# The clients are other machines in truth: they must not wait for the cores that they keep busy.
_NICE = ["nice", "-n", "10"]
_ROOT = Path(__file__).resolve().parents[2]
_HEALTH_SECONDS = 5.0
_LOG_TAIL = 2000


class Process(ABC):
    """
    A process, whether it runs or not.

    Args:
        name: for its log.
        port: where it listens, in every life.
        command: starts it.
        cwd: where it starts.
        logs: folder for its log, which later lives continue.
        environment: what differs from ours.
    """

    def __init__(  # noqa: PLR0913  # what a process is
        self, name: str, port: int, command: list[str], *, cwd: Path, logs: Path, environment: Mapping[str, str]
    ) -> None:
        self.port = port
        self.log = logs / f"{name}.log"
        self._name = name
        self._command = command
        self._cwd = cwd
        self._environment = environment
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """
        Of the process that runs.
        """
        if self._child is None:
            raise Failure(f"{self._name} does not run")
        return self._child.process.pid

    @property
    def runs(self) -> bool:
        """
        Whether it does, or hangs.
        """
        return self._child is not None and self._child.end() is None

    @property
    def end(self) -> str | None:
        """
        How it ended by itself; None where it did not.
        """
        end = self._child.end() if self._child else None
        return end and f"{self._name} {end}"

    def start(self, **environment: str) -> None:
        """
        Start it; for a life with other settings than those it was made for, name them.
        """
        with self.log.open("ab") as output:
            self._child = Child.start(
                self._name,
                [*_NICE, *self._command],
                folder=self._cwd,
                environment={**os.environ, **self._environment, **environment},
                output=output,
            )

    def kill(self) -> None:
        """
        SIGKILL.
        """
        if self._child:
            self._child.kill()
            self._child = None

    def hang(self) -> None:
        """
        SIGSTOP.
        """
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """
        SIGCONT.
        """
        os.kill(self.pid, signal.SIGCONT)

    async def ready(self) -> None:
        """
        Return once it takes requests.

        Raises:
            Failure: it ended, or took too long.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not await self._is_ready():
            if self._child and (end := self._child.end()):
                raise Failure(f"{self._name} {end}; it wrote:\n{self.log.read_text()[-_LOG_TAIL:]}")
            if time.monotonic() > deadline:
                raise Failure(f"{self._name} was not ready in {READY_SECONDS} s")
            await asyncio.sleep(0.02)

    @abstractmethod
    async def _is_ready(self) -> bool: ...


class Redis(Process):
    """
    A Redis.
    """

    def __init__(self, server: str, folder: Path, logs: Path) -> None:
        port = free_port()
        super().__init__("redis", port, redis_server.command_of(server, port), cwd=folder, logs=logs, environment={})

    async def _is_ready(self) -> bool:
        return redis_server.pongs(self.port)


class Service(Process):
    """
    One of our packages.
    """

    def __init__(self, name: str, package: str, logs: Path, environment: Mapping[str, str], *flags: str) -> None:
        port = free_port()
        command = [sys.executable, "-m", package, "--http_port", str(port), "--grpc_port", str(free_port()), *flags]
        super().__init__(name, port, command, cwd=_ROOT, logs=logs, environment=environment)

    async def _is_ready(self) -> bool:
        client = Client(self.port)
        try:
            response = await client.ask(get("/v2/health/ready"), timeout_seconds=_HEALTH_SECONDS)
        except OSError:
            return False
        finally:
            client.close()
        return response.status == HTTPStatus.OK
