"""
Request bodies, before anything parses them: bounded, inflated, and JSON whatever the Content-Type says.

KServe reads bodies of any size, hands hooks raw bytes for an unfamiliar Content-Type (KSERVE.md 10), refuses JSON
without one (11) and gzip (16); here each of these is settled once, for every route.
"""

import asyncio
import gc
import zlib
from collections.abc import Callable

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import record
from serving.admission import Admission
from serving.client import Client
from serving.client import of as client_of
from serving.errors import InvalidRequest, SlowRequest, TooLarge

BINARY_HEADER = "inference-header-content-length"
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_UTF8_BOM = b"\xef\xbb\xbf"


def load_json(body: bytes) -> object:
    """
    The body as JSON.

    Raises:
        InvalidRequest: 400, it is not.
    """
    # The collector would walk a million nested lists again and again while they are made: 1.9 s for 4 MiB, or 0.1 s.
    gc.disable()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}", kind="json_invalid") from None
    finally:
        gc.enable()


class BodyMiddleware:
    """
    Admits a request, reads its whole body within limits, and replays it, inflated and labelled, to the application.

    Args:
        max_bytes: limit of the body as sent and as inflated.
        timeout_seconds: longest wait for the body.
        admission: what else is at work.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout_seconds: float, admission: Admission) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one ASGI connection.

        Raises:
            Overloaded, RateLimited: 429, see `Admission`.
            TooLarge: 413, the body is larger than the limit, or inflates past it.
            SlowRequest: 408, the body took too long.
            InvalidRequest: 400, an unknown or broken Content-Encoding.
            ServiceError: what the connection found wrong with the body on its way.
            ClientDisconnect: the client left before its answer; the work is cancelled.
        """
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        headers, client = Headers(scope=scope), client_of(scope)
        await self._admission.admit(headers, scope["client"][0] if scope.get("client") else "")
        with self._admission.body() as hold:
            sent = await self._read(headers, client, receive, hold)
            body = self._decode(sent, headers.get("content-encoding", "identity"), hold).removeprefix(_UTF8_BOM)
            record.current().end_phase("receive")
            relabelled = {**scope, "headers": _relabel(headers, body)}
            with self._admission.place(), client.served():
                await self._app(relabelled, _replay(body), send)

    async def _read(self, headers: Headers, client: Client, receive: Receive, hold: Callable[[int], None]) -> bytes:
        declared = headers.get("content-length", "").lstrip("0")  # thousands of them are no number to Python
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._join(client, receive, hold)
        except TimeoutError:
            raise SlowRequest(self._timeout_seconds) from None

    async def _join(self, client: Client, receive: Receive, hold: Callable[[int], None]) -> bytes:
        # not a list: a body sent in pieces of two bytes would take twenty times its size
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            if client.fault:
                raise client.fault
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > self._max_bytes:
                raise self._too_large()
            hold(len(chunk))
            body += chunk
            more = message.get("more_body", False)
        return bytes(body)

    def _decode(self, body: bytes, encoding: str, hold: Callable[[int], None]) -> bytes:
        match encoding.lower():
            case "identity":
                return body
            case "gzip" | "x-gzip":
                inflated = self._inflate(body)
                hold(len(inflated))
                return inflated
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
