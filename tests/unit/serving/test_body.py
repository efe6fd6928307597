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

from serving.body import BINARY_HEADER, BodyMiddleware, load_json
from serving.errors import InvalidRequest, TooLarge

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
        self.here = asyncio.Event()
        self.seen = Headers()

    async def receive(self) -> Message:
        if not self.waiting:
            await self.here.wait()  # the client stays, until a test says otherwise
        return self.waiting.pop(0)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen = Headers(scope=scope)
        message = await receive()
        assert not message.get("more_body")
        self.body = message.get("body")

    async def run(self, limit: int = LIMIT) -> "Exchange":
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        scope: Any = {"type": "http", "method": self.method, "headers": raw}
        await BodyMiddleware(self.application, max_bytes=limit)(scope, self.receive, None)  # type: ignore[arg-type]
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
        exchange.waiting.append({"type": "http.disconnect"})
        exchange.here.set()
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
