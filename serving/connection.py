"""
One HTTP connection: uvicorn's, with bounds on what comes before a body and after an early answer.

Uvicorn waits for a request's head for ever and takes one of any length (uvicorn #157); it answers a malformed one in
plain text; it loses the body of a request that offers an upgrade, as Java's HttpClient does with the first of each
connection (uvicorn #2722); and it closes at once after an early answer, which TCP's reset then takes from a client that
still sends (RFC 9112, 9.6).
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving import errors

_log = structlog.get_logger("access")

# h11's bound, and as there of what is read before the head's end is found: a read takes up to 256 KiB more at once.
MAX_HEAD_BYTES = 64 * 1024
# How long a client may go on sending what was refused before the reset.
_LINGER_SECONDS = 1.0
_FRAMING = (b"content-length", b"transfer-encoding")


class _Answering:
    """
    The transport as uvicorn's answers use it: it closes once the request is in.
    """

    def __init__(self, connection: "BoundedHttp") -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.end()


class BoundedHttp(HttpToolsProtocol):
    """
    Speaks HTTP/1 with one client.

    Args:
        receive_timeout_seconds: longest wait for a head, and for the rest of a body that was answered before its end.
    """

    def __init__(self, *args: Any, receive_timeout_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receive_timeout_seconds = receive_timeout_seconds
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._in_message = False
        self._retelling = False
        self._ending = False
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as upstream
        """
        Begin; a client that says nothing is not waited for for ever.
        """
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        End.
        """
        self._unset_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """
        Take in what was read; a fault in it ends the connection with an answer that names it.
        """
        self._unset_keepalive_if_required()
        if self._refused:
            return
        was_in_head = self._in_head
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(errors.InvalidRequest("no HTTP/1.1; its first line, a header or a chunk is not well-formed"))
            return
        if self._in_head and was_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(errors.HeadTooLarge(f"the request's head is larger than {MAX_HEAD_BYTES} bytes"))
            elif self._deadline is None:
                self._set_deadline()
        elif self._deadline is None and not self._in_message and self.cycle.response_complete:
            self._set_deadline()  # the rest of what was answered early is in, and a next request may come

    def on_message_begin(self) -> None:
        """
        A request's first byte.
        """
        if not self._retelling:
            self._in_head = self._in_message = True
            self._head_bytes = 0
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """
        A part of its target.
        """
        if not self._retelling:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        One of its headers.
        """
        if not self._retelling:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """
        Its head's end: the application begins.
        """
        if not self._retelling:
            self._in_head = False
            self._unset_deadline()
            super().on_headers_complete()
            self.cycle.transport = _Answering(self)  # type: ignore[assignment]  # all of it that is used there

    def on_message_complete(self) -> None:
        """
        Its last byte; after an upgrade's head the parser says so too early.
        """
        if not self.parser.should_upgrade():
            self._in_message = False
            self._unset_deadline()
            super().on_message_complete()
            if self._ending:
                self.transport.close()

    def on_response_complete(self) -> None:
        """
        Its answer is out; where that came before its last byte, the rest is read and dropped, for a while.
        """
        super().on_response_complete()
        if self._in_message and self._deadline is None:
            self._set_deadline()

    def end(self) -> None:
        """
        Close, once the request is in; `on_response_complete` bounds the wait.
        """
        self._ending = True
        self.pipeline.clear()
        if not self._in_message:
            self.transport.close()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._go_on()
            else:
                return

    def _go_on(self) -> None:
        # We upgrade to nothing, so the request goes on as it is (RFC 9110, 7.8). The parser takes it for over, and is
        # told again what frames the body.
        framing = [b"%b: %b" % header for header in self.headers if header[0] in _FRAMING]
        self._retelling = True
        self.parser.feed_data(b"\r\n".join([b"POST / HTTP/1.1", *framing, b"", b""]))
        self._retelling = False

    def _refuse(self, error: errors.ServiceError) -> None:
        _log.info("refused", status=error.status, error_type=error.error_type, client=self.client and self.client[0])
        if self.cycle and not self.cycle.response_complete:  # nobody waits for the answer before
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        answer = errors.response(error, fastapi_style=False)
        headers = [*answer.raw_headers, (b"connection", b"close")]
        lines = [b"HTTP/1.1 %d %b" % (answer.status_code, HTTPStatus(answer.status_code).phrase.encode())]
        lines += [b"%b: %b" % header for header in dict(headers).items()]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.write_eof()
        self._refused = True
        self._unset_deadline()
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(self._receive_timeout_seconds, self._too_late)

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.cycle and not self.cycle.response_complete:
            self._set_deadline()  # the request before is not answered yet
        elif self._in_message and self._in_head:
            self._refuse(errors.SlowRequest(self._receive_timeout_seconds))
        else:
            self.transport.close()
