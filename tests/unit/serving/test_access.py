from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from serving import errors, record
from serving.access import AccessMiddleware
from serving.drain import Drain


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    record.current().fields["texts"] = 3
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


async def _ask(
    app: ASGIApp, method: str = "POST", path: str = "/p", *, request_id: bytes = b"", draining: bool = False
) -> httpx.Response:
    wrapped = AccessMiddleware(app, fastapi_paths=frozenset({"/seed"}), drain=Drain(draining))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url="http://t") as client:
        return await client.request(method, path, headers={b"x-request-id": request_id} if request_id else None)


@pytest.mark.parametrize("app", [_answer, _fail(errors.NotFound("m")), _fail(RuntimeError("m"))])
async def test_request_id(app: ASGIApp) -> None:
    """
    A usable request id comes back with answers and errors alike.
    """
    assert (await _ask(app, request_id=b"abc-1")).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("sent", [b"", b"a b", b"\xc3\xa9", b"x" * 129])
async def test_made_request_id(sent: bytes) -> None:
    """
    A missing or unusable request id is replaced by one made here.
    """
    made = (await _ask(_answer, request_id=sent)).headers["x-request-id"]
    assert made.isalnum()
    assert made.encode() != sent


@pytest.mark.parametrize(("path", "status"), [("/p", 400), ("/seed", 422)])
async def test_error_shape(path: str, status: int) -> None:
    """
    An error takes the shape that its route's clients expect.
    """
    response = await _ask(_fail(errors.InvalidRequest("m")), path=path)
    assert response.status_code == status
    assert ("detail" in response.json()) == (path == "/seed")


async def test_fault(lines: list[Any]) -> None:
    """
    A fault of ours is 500 without its words; they are in the log under the request's id, with the exception.
    """
    error = RuntimeError("at 10.0.0.7")
    response = await _ask(_fail(error), request_id=b"abc-1")
    assert response.status_code == 500
    assert "10.0.0.7" not in response.text
    (fault,) = [line for line in lines if line["log_level"] == "error"]
    assert (fault["request_id"], fault["exc_info"]) == ("abc-1", error)


@pytest.mark.parametrize("draining", [False, True])
async def test_draining(draining: bool) -> None:
    """
    While draining, and only then, an answer asks its client to reconnect.
    """
    response = await _ask(_answer, draining=draining)
    assert response.status_code == 200
    assert (response.headers.get("connection") == "close") == draining


@pytest.mark.parametrize(("app", "status"), [(_answer, 200), (_fail(errors.Overloaded("m")), 429)])
async def test_line(app: ASGIApp, status: int, lines: list[Any]) -> None:
    """
    Each request writes one line with its id, method, path and status.
    """
    await _ask(app, request_id=b"abc-1")
    (line,) = lines
    assert [line[key] for key in ("request_id", "method", "path", "status")] == ["abc-1", "POST", "/p", status]


async def test_line_fields(lines: list[Any]) -> None:
    """
    A request's line carries what the request's hooks noted.
    """
    await _ask(_answer)
    await _ask(_fail(errors.Overloaded("m")))
    assert lines[0]["texts"] == 3
    assert lines[1]["error_type"] == "overloaded"


@pytest.mark.parametrize(
    ("method", "app", "level"),
    [("GET", _answer, "debug"), ("GET", _fail(errors.Unavailable("m")), "info"), ("POST", _answer, "info")],
)
async def test_quiet_probes(method: str, app: ASGIApp, level: str, lines: list[Any]) -> None:
    """
    A GET that succeeds is silent at the default level; whatever else happens is not.
    """
    await _ask(app, method)
    assert [line["log_level"] for line in lines] == [level]


async def test_late_failure() -> None:
    """
    An application that fails after its answer began is not answered for a second time.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        await _ask(app)


async def test_other_scopes() -> None:
    """
    What is not HTTP passes untouched.
    """
    seen: list[Any] = []

    async def app(*connection: Any) -> None:
        seen.extend(connection)

    connection = ({"type": "lifespan"}, object(), object())
    await AccessMiddleware(app, fastapi_paths=frozenset(), drain=Drain())(*connection)  # type: ignore[arg-type]
    assert all(left is right for left, right in zip(seen, connection, strict=True))
