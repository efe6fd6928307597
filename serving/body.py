"""
Request bodies, before anything parses them: bounded, inflated, and JSON whatever the Content-Type says.

KServe reads bodies of any size, hands hooks raw bytes for an unfamiliar Content-Type (KSERVE.md 10), refuses JSON
without one (11) and gzip (16); here each of these is settled once, for every route.
"""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import InvalidRequest, TooLarge

BINARY_HEADER = "inference-header-content-length"
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_UTF8_BOM = b"\xef\xbb\xbf"


def load_json(body: bytes) -> object:
    """
    The body as JSON.

    Raises:
        InvalidRequest: 400, it is not.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}", kind="json_invalid") from None


class BodyMiddleware:
    """
    Reads the whole body within a limit and replays it, inflated and labelled, to the application.

    Args:
        max_bytes: limit of the body as sent and as inflated.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one ASGI connection.

        Raises:
            TooLarge: 413, the body is larger than the limit, or inflates past it.
            InvalidRequest: 400, an unknown or broken Content-Encoding.
            ClientDisconnect: the client left before its answer; the work is cancelled.
        """
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = self._decode(await self._read(headers, receive), headers.get("content-encoding", "identity"))
        body = body.removeprefix(_UTF8_BOM)
        relabelled = {**scope, "headers": _relabel(headers, body)}
        async with _cancelled_with_client(receive):
            await self._app(relabelled, _replay(body), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large()
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)

    def _decode(self, body: bytes, encoding: str) -> bytes:
        match encoding.lower():
            case "identity":
                return body
            case "gzip" | "x-gzip":
                return self._inflate(body)
            case _:
                raise InvalidRequest("this Content-Encoding is not understood; send gzip, or none")

    def _inflate(self, body: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            inflated = inflater.decompress(body, self._max_bytes + 1)
        except zlib.error:
            raise InvalidRequest("the body is not gzip, though its Content-Encoding says so") from None
        if len(inflated) > self._max_bytes:
            raise self._too_large()
        # A second member is refused: thousands of empty ones would cost seconds, and no HTTP client sends two.
        if not inflater.eof or inflater.unused_data:
            raise InvalidRequest("the body must be one gzip member, whole")
        return inflated

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self._max_bytes} bytes; send fewer or shorter texts a request")


def _relabel(headers: Headers, body: bytes) -> list[tuple[bytes, bytes]]:
    relabelled = MutableHeaders(raw=list(headers.raw))
    relabelled["content-type"] = "application/octet-stream" if BINARY_HEADER in headers else "application/json"
    relabelled["content-length"] = str(len(body))
    del relabelled["content-encoding"]
    return relabelled.raw


def _replay(body: bytes) -> Receive:
    async def replayed() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


@contextlib.asynccontextmanager
async def _cancelled_with_client(receive: Receive) -> AsyncIterator[None]:
    """
    Cancel the work of a client that has left: uvicorn lets it run on, and the answer would go to nobody.

    Raises:
        ClientDisconnect: it left.
    """
    work = asyncio.current_task()
    watch = asyncio.ensure_future(receive())

    def cancel(_: object) -> None:
        if work and not watch.cancelled():
            work.cancel()

    watch.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if work and watch.done() and not watch.cancelled():
            work.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        watch.remove_done_callback(cancel)
        watch.cancel()
