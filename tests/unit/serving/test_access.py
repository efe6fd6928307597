import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from serving import errors, record
from serving.access import AccessMiddleware
from serving.drain import Drain
from serving.observer import Observer
from serving.routes import Routes


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    record.current().fields["texts"] = 3
    record.current().end_phase("parse")
    await PlainTextResponse("ok")(scope, receive, send)


def _fail(error: Exception) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """
    The log lines that the test writes.
    """
    with capture_logs() as captured:
        yield captured


async def _metadata(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("ok")(scope, receive, send)


async def _leave(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


Ask = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def ask(observer: Observer) -> Ask:
    """
    Asks an application within the layer.
    """

    async def ask(
        app: ASGIApp, method: str = "POST", path: str = "/p", *, request_id: bytes = b"", draining: bool = False
    ) -> httpx.Response:
        wrapped = AccessMiddleware(
            app,
            observer=observer,
            routes=Routes(["/p", "/seed"]),
            fastapi_paths=frozenset({"/seed"}),
            drain=Drain(draining),
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url="http://t") as client:
            return await client.request(method, path, headers={b"x-request-id": request_id} if request_id else None)

    return ask


@pytest.mark.parametrize("app", [_answer, _fail(errors.NotFound("m")), _fail(RuntimeError("m"))])
async def test_request_id(ask: Ask, app: ASGIApp) -> None:
    """
    A usable request id comes back with answers and errors alike.
    """
    assert (await ask(app, request_id=b"abc-1")).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("sent", [b"", b"a b", b"\xc3\xa9", b"x" * 129])
async def test_made_request_id(ask: Ask, sent: bytes) -> None:
    """
    A missing or unusable request id is replaced by one made here.
    """
    made = (await ask(_answer, request_id=sent)).headers["x-request-id"]
    assert made.isalnum()
    assert made.encode() != sent


@pytest.mark.parametrize(("path", "status"), [("/p", 400), ("/seed", 422)])
async def test_error_shape(ask: Ask, path: str, status: int) -> None:
    """
    An error takes the shape that its route's clients expect.
    """
    response = await ask(_fail(errors.InvalidRequest("m")), path=path)
    assert response.status_code == status
    assert ("detail" in response.json()) == (path == "/seed")


async def test_fault(ask: Ask, lines: list[Any]) -> None:
    """
    A fault of ours is 500 without its words; they are in the log under the request's id, with the exception.
    """
    error = RuntimeError("at 10.0.0.7")
    response = await ask(_fail(error), request_id=b"abc-1")
    assert response.status_code == 500
    assert "10.0.0.7" not in response.text
    (fault,) = [line for line in lines if line["log_level"] == "error"]
    assert (fault["request_id"], fault["exc_info"]) == ("abc-1", error)


@pytest.mark.parametrize("draining", [False, True])
async def test_draining(ask: Ask, draining: bool) -> None:
    """
    While draining, and only then, an answer asks its client to reconnect.
    """
    response = await ask(_answer, draining=draining)
    assert response.status_code == 200
    assert (response.headers.get("connection") == "close") == draining


@pytest.mark.parametrize(("app", "status"), [(_answer, 200), (_fail(errors.Overloaded("m")), 429)])
async def test_line(ask: Ask, app: ASGIApp, status: int, lines: list[Any]) -> None:
    """
    Each request writes one line with its id, protocol, method, path and status.
    """
    await ask(app, request_id=b"abc-1")
    (line,) = lines
    keys = ("request_id", "protocol", "method", "path", "status")
    assert [line[key] for key in keys] == ["abc-1", "rest", "POST", "/p", status]


@pytest.mark.parametrize(("app", "status"), [(_answer, 200), (_fail(errors.Overloaded("m")), 429), (_leave, 499)])
async def test_count(ask: Ask, registry: CollectorRegistry, app: ASGIApp, status: int) -> None:
    """
    Each request is counted once, under its route and status, whatever becomes of it.
    """
    with contextlib.suppress(AssertionError):  # httpx's, of an application that answers nothing
        await ask(app)
    labels = {"route": "/p", "protocol": "rest", "status": str(status)}
    assert registry.get_sample_value("service_requests_total", labels) == 1


async def test_count_of_unknown_paths(ask: Ask, registry: CollectorRegistry) -> None:
    """
    However many paths strangers ask for, they are one series.
    """
    for path in ("/a", "/b/c", "/p/"):
        await ask(_fail(errors.NotFound("m")), path=path)
    (family,) = (family for family in registry.collect() if family.name == "service_requests")
    assert [(sample.labels["route"], sample.value) for sample in family.samples] == [("unknown", 3)]


async def test_line_fields(ask: Ask, lines: list[Any]) -> None:
    """
    A request's line carries what the request's hooks noted.
    """
    await ask(_answer)
    await ask(_fail(errors.Overloaded("m")))
    assert lines[0]["texts"] == 3
    assert lines[1]["error_type"] == "overloaded"


@pytest.mark.parametrize(
    ("method", "app", "level"),
    [
        ("GET", _metadata, "debug"),
        ("HEAD", _metadata, "debug"),
        ("GET", _fail(errors.Unavailable("m")), "info"),
        ("POST", _answer, "info"),
    ],
)
async def test_quiet_probes(ask: Ask, method: str, app: ASGIApp, level: str, lines: list[Any]) -> None:
    """
    What succeeds without any prediction is silent at the default level; whatever else happens is not.
    """
    await ask(app, method)
    assert [line["log_level"] for line in lines] == [level]


async def test_late_failure(ask: Ask) -> None:
    """
    An application that fails after its answer began is not answered for a second time.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        await ask(app)


async def test_end_of_the_grace_period(observer: Observer, lines: list[Any]) -> None:
    """
    A request that is cut off is answered 503, counted and logged once, and is no fault of the application's.
    """
    began, sent = asyncio.Event(), list[Any]()

    async def app(*_: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    wrapped = AccessMiddleware(app, observer=observer, routes=Routes([]), fastapi_paths=frozenset(), drain=Drain())
    task = asyncio.ensure_future(wrapped(scope, AsyncMock(), send))
    await began.wait()
    task.cancel()
    await task
    assert sent[0]["status"] == 503
    assert [line["status"] for line in lines] == [503]


async def test_other_scopes(observer: Observer) -> None:
    """
    What is not HTTP passes untouched.
    """
    seen: list[Any] = []

    async def app(*connection: Any) -> None:
        seen.extend(connection)

    connection = ({"type": "lifespan"}, object(), object())
    wrapped = AccessMiddleware(app, observer=observer, routes=Routes([]), fastapi_paths=frozenset(), drain=Drain())
    await wrapped(*connection)  # type: ignore[arg-type]
    assert all(left is right for left, right in zip(seen, connection, strict=True))
