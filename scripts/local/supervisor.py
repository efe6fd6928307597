"""
Child processes that are started, watched and stopped so that none outlives the person's wish.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

STOP_SECONDS = 35
"""Before SIGKILL: longer than a service takes to drain and finish accepted work."""

PR_SET_PDEATHSIG = 1

Pause = Callable[[], None]


def free_port() -> int:
    """
    Find a port of loopback that nobody listens on now.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Failure(Exception):
    """
    What keeps the stack from running, and what to do about it.
    """


class Stopped(Exception):
    """
    A signal asked the stack to end.
    """


def say(name: str, line: str) -> None:
    """
    Print a progress line, unless the terminal is gone: then stopping the children matters more.
    """
    with contextlib.suppress(OSError):
        print(f"{name:<12} {line}", flush=True)


def interruptible_pause() -> Pause:
    """
    Make the pause between two looks at the children: it raises `Stopped` once a signal has arrived.

    Nothing else is interrupted: a child whose start or stop was cut in half would be lost.
    """
    received: list[int] = []
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup asks to outlive the terminal.
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, lambda signum, _frame: received.append(signum))

    def pause() -> None:
        time.sleep(0.05)
        if received:
            raise Stopped

    return pause


def death_signal() -> Callable[[], object] | None:
    """
    Make the hook by which Linux tells a child that its supervisor was killed, and so could not stop it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(frozen=True)
class Child:
    """
    A running part of the stack.
    """

    name: str
    process: subprocess.Popen[bytes]
    started: float

    @classmethod
    def start(
        cls,
        name: str,
        command: list[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: IO[bytes] | None = None,
    ) -> "Child":
        """
        Start a child in a session of its own, so that the terminal's Ctrl-C reaches the supervisor alone.

        Args:
            output: where it writes; our stderr without.
        """
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output or sys.stderr,
            stderr=output,
            start_new_session=True,
            preexec_fn=death_signal(),  # noqa: PLW1509 - the supervisor has no threads
        )
        say(name, "starting ...")
        return cls(name, process, time.monotonic())

    def end(self) -> str | None:
        """
        Say how the child ended; None while it runs.
        """
        status = self.process.poll()
        if status is None:
            return None
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def await_ready(self, ready: Callable[[], bool], pause: Pause, timeout_seconds: float) -> None:
        """
        Return once the child is ready.

        Raises:
            Failure: it ended, or took longer than the timeout.
        """
        while not ready():
            if end := self.end():
                raise Failure(f"{self.name} {end} while starting; see its own lines above")
            if time.monotonic() - self.started > timeout_seconds:
                raise Failure(f"{self.name} was not ready in {timeout_seconds:g} s; its own lines above may say why")
            pause()
        say(self.name, f"ready in {time.monotonic() - self.started:.1f} s")

    def stop(self) -> None:
        """
        Let the child finish its work, then leave nothing of its process group behind.
        """
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.kill()
        say(self.name, "stopped")

    def kill(self) -> None:
        """
        Leave nothing of its process group behind, at once.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS's answer for a group of zombies
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
