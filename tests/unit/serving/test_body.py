import asyncio
import gzip
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from serving.admission import FREE_BYTES, Admission
from serving.body import BINARY_HEADER, BodyMiddleware, load_json
from serving.client import Client
from serving.errors import InvalidRequest, Overloaded, SlowRequest, TooLarge

LIMIT = 1000
GZIP = {"content-encoding": "gzip"}
BOM = b"\xef\xbb\xbf"


class Exchange:
    """
    A client that sends chunks, and an application that notes what reaches it.
    """

    def __init__(self, *chunks: bytes, headers: dict[str, str] | None = None, method: str = "POST") -> None:
        self.waiting: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            for number, chunk in enumerate(chunks, 1)
        ]
        self.headers, self.method = headers or {}, method
        self.body: bytes | None = None
        self.client = Client()
        self.seen = Headers()

    async def receive(self) -> Message:
        if not self.waiting:
            await asyncio.Event().wait()
        return self.waiting.pop(0)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen = Headers(scope=scope)
        message = await receive()
        assert not message.get("more_body")
        self.body = message.get("body")

    async def run(self, limit: int = LIMIT, seconds: float = 60, admission: Admission | None = None) -> "Exchange":
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        scope: Any = {"type": "http", "method": self.method, "headers": raw, "client": ("10.0.0.9", 1)}
        scope["state"] = {"client": self.client}
        admission = admission or Admission(max_requests=1, max_body_bytes=2 * limit)
        middleware = BodyMiddleware(self.application, max_bytes=limit, timeout_seconds=seconds, admission=admission)
        await middleware(scope, self.receive, None)  # type: ignore[arg-type]
        return self


def _cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(st.binary(max_size=LIMIT), st.lists(st.integers(0, 2 * LIMIT), max_size=5), st.booleans())
async def test_whole(body: bytes, places: list[int], zipped: bool) -> None:
    """
    A body up to the limit, sent and inflated, arrives whole and plain, with its length, however it was cut and packed.
    """
    sent = gzip.compress(body) if zipped else body
    limit = max(len(sent), len(body), 1)
    exchange = await Exchange(*_cut(sent, places), headers=GZIP if zipped else None).run(limit)
    assert exchange.body == body.removeprefix(BOM)
    assert exchange.seen["content-length"] == str(len(exchange.body))
    assert "content-encoding" not in exchange.seen


async def test_inflated_to_the_limit() -> None:
    """
    A body that inflates to exactly the limit is taken.
    """
    assert (await Exchange(gzip.compress(b"x" * LIMIT), headers=GZIP).run()).body == b"x" * LIMIT


@given(st.integers(1, 3 * LIMIT), st.lists(st.integers(0, 4 * LIMIT), max_size=5), st.booleans())
async def test_too_large(excess: int, places: list[int], zipped: bool) -> None:
    """
    A body past the limit is refused, as sent or as inflated, and none of it reaches the application.
    """
    body = b"x" * (LIMIT + excess)
    exchange = Exchange(*_cut(gzip.compress(body) if zipped else body, places), headers=GZIP if zipped else None)
    with pytest.raises(TooLarge):
        await exchange.run()
    assert exchange.body is None


async def test_declared_too_large() -> None:
    """
    A Content-Length past the limit is refused before a byte is read.
    """
    exchange = Exchange(b"{}", headers={"content-length": str(LIMIT + 1)})
    with pytest.raises(TooLarge):
        await exchange.run()
    assert exchange.waiting


async def test_endless() -> None:
    """
    Reading stops with the chunk that passes the limit, however much would follow.
    """
    exchange = Exchange(*[b"x" * 400] * 50)
    with pytest.raises(TooLarge):
        await exchange.run()
    assert len(exchange.waiting) == 47


async def test_slow() -> None:
    """
    A body that has not come whole in its time is refused, however much of it came.
    """
    exchange = Exchange(b"{", b"}")
    exchange.waiting.pop()
    with pytest.raises(SlowRequest):
        await exchange.run(seconds=0.01)
    assert exchange.body is None


async def test_small_pieces() -> None:
    """
    A body in pieces of two bytes takes no more memory than one in one piece.
    """
    exchange = Exchange(*[b"{}"] * 100_000)
    tracemalloc.start()
    try:
        await exchange.run(limit=200_000)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


class Full:
    """
    A rate limit that refuses everybody.
    """

    def __init__(self) -> None:
        self.peers: list[str] = []

    async def admit(self, headers: Headers, peer: str) -> None:
        self.peers.append(peer)
        raise Overloaded("m")

    async def close(self) -> None: ...


async def test_refused_before_reading() -> None:
    """
    A client over its rate is refused before a byte of its body is read.
    """
    exchange, rate_limit = Exchange(b"{}"), Full()
    with pytest.raises(Overloaded):
        await exchange.run(admission=Admission(max_requests=1, max_body_bytes=LIMIT, rate_limit=rate_limit))
    assert exchange.waiting
    assert rate_limit.peers == ["10.0.0.9"]


@pytest.mark.parametrize("zipped", [False, True])
async def test_bodies_together(zipped: bool) -> None:
    """
    Bodies that are too many bytes together are refused, as sent or as inflated, and hold nothing afterwards.
    """
    admission = Admission(max_requests=1, max_body_bytes=LIMIT)
    body = b"x" * (FREE_BYTES + LIMIT)
    sent, headers = (gzip.compress(body), GZIP) if zipped else (body, {})
    with admission.body() as hold:
        hold(FREE_BYTES + 100)
        with pytest.raises(Overloaded):
            await Exchange(sent, headers=headers).run(len(body), admission=admission)
    assert (await Exchange(body).run(len(body), admission=admission)).body == body


async def test_work_holds_a_place() -> None:
    """
    A request at work keeps its place and its bytes until it is over, and a body that still comes keeps no place.
    """
    admission = Admission(max_requests=1, max_body_bytes=LIMIT)
    exchange, begun, over = Exchange(b"[]"), asyncio.Event(), asyncio.Event()

    async def work(*_: object) -> None:
        begun.set()
        await over.wait()

    exchange.application = work  # type: ignore[method-assign]
    slow = Exchange(b"[]", b"")
    slow.waiting.pop()
    arriving = asyncio.create_task(slow.run(admission=admission))
    working = asyncio.create_task(exchange.run(admission=admission))
    await begun.wait()
    with pytest.raises(Overloaded):
        await Exchange(b"[]").run(admission=admission)
    over.set()
    await working
    assert (await Exchange(b"[]").run(admission=admission)).body == b"[]"
    arriving.cancel()


async def test_bomb() -> None:
    """
    A gzip bomb is refused without being inflated whole.
    """
    bomb = gzip.compress(bytes(32 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await Exchange(bomb, headers=GZIP).run(limit=len(bomb))
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@given(st.binary(min_size=1, max_size=LIMIT), st.data())
async def test_truncated_gzip(body: bytes, data: st.DataObject) -> None:
    """
    A gzip body cut anywhere before its end, but for nothing at all, is refused.
    """
    whole = gzip.compress(body)
    exchange = Exchange(whole[: data.draw(st.integers(1, len(whole) - 1))], headers=GZIP)
    with pytest.raises(InvalidRequest):
        await exchange.run()
    assert exchange.body is None


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip"])
async def test_wrong_encoding(encoding: str) -> None:
    """
    A body that is not gzip though it says so, or an encoding that is not understood, is refused.
    """
    with pytest.raises(InvalidRequest):
        await Exchange(b"{}", headers={"content-encoding": encoding}).run()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
async def test_encoding_names(encoding: str) -> None:
    """
    Gzip has two names, in any case (RFC 9110, 8.4.1).
    """
    exchange = await Exchange(gzip.compress(b"{}"), headers={"content-encoding": encoding}).run()
    assert exchange.body == b"{}"


@pytest.mark.parametrize("second", [b"", b'"a"}'])
async def test_gzip_members(second: bytes) -> None:
    """
    A gzip body is one member: thousands of empty ones would keep the event loop for seconds.
    """
    with pytest.raises(InvalidRequest):
        await Exchange(gzip.compress(b'{"text":') + gzip.compress(second), headers=GZIP).run()


@pytest.mark.parametrize(
    "sent", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"]
)
@pytest.mark.parametrize(("binary", "label"), [(False, "application/json"), (True, "application/octet-stream")])
async def test_content_type(sent: str | None, binary: bool, label: str) -> None:
    """
    The application is told JSON, or binary where the binary extension's header is there, whatever was said.
    """
    headers = ({"content-type": sent} if sent else {}) | ({BINARY_HEADER: "2"} if binary else {})
    assert (await Exchange(b"{}", headers=headers).run()).seen["content-type"] == label


async def test_client_left_early() -> None:
    """
    A body whose client left before its end does not reach the application as if it were whole.
    """
    exchange = Exchange(b"[]", b"")
    exchange.waiting[1] = {"type": "http.disconnect"}
    with pytest.raises(ClientDisconnect):
        await exchange.run()
    assert exchange.body is None


async def test_client_left_late() -> None:
    """
    The work of a client that leaves before its answer is cancelled, and nothing else is.
    """
    exchange, cancelled = Exchange(b"[]"), asyncio.Event()

    async def work(*_: object) -> None:
        exchange.client.leave()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    exchange.application = work  # type: ignore[method-assign]
    with pytest.raises(ClientDisconnect):
        await exchange.run()
    assert cancelled.is_set()
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_fault_on_the_way() -> None:
    """
    What the connection finds wrong with a body is the request's answer, however much of the body has come.
    """
    exchange = Exchange(b"[", b"]")
    exchange.client.fault = InvalidRequest("no chunk")
    with pytest.raises(InvalidRequest, match="no chunk"):
        await exchange.run()
    assert exchange.body is None


async def test_outer_cancellation_stays_one() -> None:
    """
    A request that is cancelled from outside is cancelled, and not taken for a client that left.
    """
    exchange, begun = Exchange(b"[]"), asyncio.Event()

    async def work(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    exchange.application = work  # type: ignore[method-assign]
    task = asyncio.create_task(exchange.run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_no_body(method: str) -> None:
    """
    A method without a body passes untouched.
    """
    exchange = await Exchange(b"", headers={"content-type": "text/plain"}, method=method).run()
    assert exchange.seen["content-type"] == "text/plain"


@given(st.dictionaries(st.text(), st.lists(st.text())))
def test_load_json(value: dict[str, list[str]]) -> None:
    """
    JSON is read as it was written, in any script.
    """
    assert load_json(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    "body", [b"", b"my secret", b'{"text": "my secret"', b'"my secret\xff"', b'["my secret \\ud800"]', b"NaN"]
)
def test_not_json(body: bytes) -> None:
    """
    What is not JSON, a lone surrogate and broken UTF-8 among it, is refused in words that do not repeat it.
    """
    with pytest.raises(InvalidRequest) as caught:
        load_json(body)
    assert caught.value.kind == "json_invalid"
    assert "secret" not in caught.value.message
