import contextlib
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

STACK = Path(__file__).resolve().parents[2] / "scripts" / "stack.py"
START_SECONDS = 120
STOP_SECONDS = 40


def free_ports(count: int) -> list[int]:
    """
    Choose ports nobody listens on, all different.
    """
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [free.getsockname()[1] for free in sockets]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """
    Wait for a condition; tell whether it came true.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def runs(process: psutil.Process) -> bool:
    """
    Tell whether a process does anything any more.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


class Stack:
    """
    One run of the stack, and every process it was seen to start.
    """

    def __init__(self, *arguments: str) -> None:
        self.http_port, *others = free_ports(4)
        flags = ("--http-port", "--grpc-port", "--predictor-http-port", "--predictor-grpc-port")
        ports = [text for pair in zip(flags, map(str, [self.http_port, *others]), strict=True) for text in pair]
        self.process = subprocess.Popen(
            [sys.executable, str(STACK), *ports, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.readers = [
            threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout]),
            threading.Thread(target=lambda: self.errors.extend(self.process.stderr)),
        ]
        for reader in self.readers:
            reader.start()
        self.children: list[psutil.Process] = []

    def await_line(self, start: str) -> str:
        """
        Wait for the progress line that starts so, and remember the processes running by then.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            if line.startswith(start):
                self.children = psutil.Process(self.process.pid).children(recursive=True)
                return line

    def child(self, package: str) -> psutil.Process:
        """
        Find the process of one service.
        """
        return next(child for child in self.children if ["-m", package] == child.cmdline()[1:3])

    def leaves_nothing(self) -> bool:
        """
        Tell whether every process the stack started is gone.
        """
        return until(lambda: not any(map(runs, self.children)), STOP_SECONDS)

    def end(self) -> int:
        """
        Wait for the supervisor's exit status, and for all that it and its children had to say.
        """
        status = self.process.wait(STOP_SECONDS)
        for reader in self.readers:
            reader.join(STOP_SECONDS)
        return status

    def remaining_lines(self) -> list[str]:
        """
        Take the progress lines nobody has waited for.
        """
        return [self.lines.get() for _ in range(self.lines.qsize())]

    def ask(self) -> list[str]:
        """
        Send the request of the line to copy; return the best label of each text.
        """
        question = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/v1/models/sentiment:predict",
            data=b'{"text": ["I hate you.", "I love you."]}',
        )
        with urllib.request.urlopen(question, timeout=30) as response:
            return [best["label"] for best, *_ in json.load(response)["predictions"]]

    def close(self) -> None:
        """
        Stop whatever a failed test has left, and read the pipes to their end.
        """
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        for child in self.children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.end()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def run_stack() -> Iterator[Callable[..., Stack]]:
    """
    Run the stack with the arguments given; whatever happens, nothing of it outlives the test.
    """
    with contextlib.ExitStack() as runs:

        def run(*arguments: str) -> Stack:
            stack = Stack(*arguments)
            runs.callback(stack.close)
            return stack

        yield run


def refusal(stack: Stack) -> str:
    """
    Return the one line of a stack that refuses to start, having started nothing.
    """
    assert stack.end() != 0
    assert stack.remaining_lines() == []
    [line] = stack.errors
    return line


def test_answers_and_stops(run_stack: Callable[..., Stack]) -> None:
    """
    The line to copy gets its answer, and Ctrl-C ends every process, the transformer first, with exit status 0.
    """
    stack = run_stack()
    assert f"localhost:{stack.http_port}/v1/models/sentiment:predict" in stack.await_line("try")
    assert stack.ask() == ["NEGATIVE", "POSITIVE"]
    stack.process.send_signal(signal.SIGINT)
    assert stack.end() == 0
    assert stack.leaves_nothing()
    assert [line.split()[0] for line in stack.remaining_lines()][:2] == ["transformer", "predictor"]


def test_goes_on_without_redis(run_stack: Callable[..., Stack]) -> None:
    """
    A Redis that dies earns one line, and the service goes on answering.
    """
    stack = run_stack()
    stack.await_line("try")
    redis = next((child for child in stack.children if child.name() in {"redis-server", "valkey-server"}), None)
    if redis is None:
        pytest.skip("no Redis server on this machine")
    redis.kill()
    assert "goes on" in stack.await_line("redis")
    assert stack.ask() == ["NEGATIVE", "POSITIVE"]


def test_stops_while_starting(run_stack: Callable[..., Stack]) -> None:
    """
    Ctrl-C before the services are ready ends every process too.
    """
    stack = run_stack()
    stack.await_line("transformer  starting")
    stack.process.send_signal(signal.SIGINT)
    assert stack.end() == 0
    assert stack.leaves_nothing()


@pytest.mark.parametrize("flag", ["--http-port", "--grpc-port", "--predictor-http-port", "--predictor-grpc-port"])
def test_taken_port(run_stack: Callable[..., Stack], flag: str) -> None:
    """
    A taken port is refused in one line that names it and its flag, before anything is started.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(run_stack(flag, str(port)))
    assert f"port {port} " in line
    assert flag in line


def test_missing_model(run_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """
    A folder without a model is refused in one line that names what is missing, before anything is started.
    """
    (tmp_path / "config.json").touch()
    line = refusal(run_stack("--model-dir", str(tmp_path)))
    assert "no model.safetensors, tokenizer.json" in line
    assert str(tmp_path) in line


@pytest.mark.parametrize("package", ["predictor", "transformer"])
def test_dead_service(run_stack: Callable[..., Stack], package: str) -> None:
    """
    A service that dies ends the stack with a line that names it, exit status 1 and no process left.
    """
    stack = run_stack()
    stack.await_line("try")
    stack.child(package).kill()
    assert stack.end() == 1
    assert stack.leaves_nothing()
    assert f"{package} was killed by SIGKILL" in stack.errors[-1]


def test_service_that_cannot_start(run_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """
    A service that ends while it starts ends the stack with exit status 1 and no process left.
    """
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    stack = run_stack("--model-dir", str(tmp_path))
    stack.await_line("transformer  starting")
    assert stack.end() == 1
    assert stack.leaves_nothing()
    assert "predictor ended with status" in stack.errors[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_killed_supervisor(run_stack: Callable[..., Stack]) -> None:
    """
    A supervisor that is killed outright takes every process with it.
    """
    stack = run_stack()
    stack.await_line("try")
    stack.process.kill()
    stack.end()
    assert stack.leaves_nothing()
