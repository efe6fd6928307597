"""
One HTTP connection: uvicorn's, with bounds on what a client may send, and on how long anything is waited for.

Uvicorn waits for a request's head for ever and takes one of any length (uvicorn #157), trailers likewise; it answers a
malformed one in plain text, before the requests that came before it; it loses the body of a request that offers an
upgrade, as Java's HttpClient does with the first of each connection (uvicorn #2722); it closes while a client still
sends, from whom TCP's reset then takes its answer (RFC 9112, 9.6); and of pipelined requests it tells only the newest
that the client has left.
"""

import asyncio
from collections import deque
from enum import Enum, auto
from functools import partial
from operator import itemgetter
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving import errors
from serving.client import of as client_of
from serving.flow import Answering, Flow
from serving.observer import Observer
from serving.patience import Patience
from serving.refusal import refusal

# h11's bound, and as there of what is read before the head's end is found: a read takes up to 256 KiB more at once.
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
# Each holds up to 0.2 MiB of a body that nobody counts yet, or 0.7 MiB of heads, of which one read brings many.
MAX_CONNECTIONS = 2048
MAX_PIPELINED = 20
# How long a client may go on sending after its last answer, and how long it may leave an answer unread.
_LINGER_SECONDS = 1.0
_UNREAD_SECONDS = 30.0
_FRAMING = (b"connection", b"content-length", b"transfer-encoding")


class _State(Enum):
    """
    What is read now.

    IDLE becomes HEAD at a request's first byte, that BODY at its head's end, and that IDLE at its last byte; LAST where
    the connection's last answer is out before. A fault makes it FAULTY. It is LINGERING once the last answer is out and
    the request in, or the client has ended its side.
    """

    IDLE = auto()  # nothing, before the first request or between two
    HEAD = auto()
    BODY = auto()  # and trailers
    LAST = auto()  # what is left of a request that was answered, the connection's last
    FAULTY = auto()  # nothing any more; what was asked before is still answered
    LINGERING = auto()  # whatever comes after the last answer, and drops it


class _Answers(Enum):
    """
    What is waited for before the client's next bytes.
    """

    MADE = auto()
    READ = auto()


class BoundedHttp(HttpToolsProtocol):
    """
    Speaks HTTP/1 with one client.

    Whatever happens ends in `_watch`, which says what is waited for next, and for how long.

    Args:
        receive_timeout_seconds: longest wait for a head, and for the rest of a body that was answered before its end.
        observer: hears of each request that is refused here.
    """

    def __init__(self, *args: Any, receive_timeout_seconds: float, observer: Observer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # ours is the `Observer`'s
        self._receive_timeout_seconds = receive_timeout_seconds
        self._observer = observer
        self._state = _State.IDLE
        self._open: deque[RequestResponseCycle] = deque()  # requests that are not answered, the oldest first
        self._refusal: partial[bytes] | None = None  # the last answer, to what was no request
        self._overhead_bytes = 0  # read since a head or a piece of a body was whole
        self._patience = Patience(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as upstream
        """
        Begin; a client that says nothing is not waited for for ever.
        """
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        if len(self.connections) > MAX_CONNECTIONS and not self._make_room():
            self.connections.discard(self)
            self._refuse(errors.Unavailable("too many connections are open; try again shortly"))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        End.
        """
        self._patience.end()
        self._abandon()
        super().connection_lost(exc)
        self.cycle = None  # type: ignore[assignment]  # as at first: whatever it holds need not wait for the collector

    def eof_received(self) -> None:
        """
        The client has left, or will send nothing more, which is taken for the same (as Go's and nginx's servers do).
        """
        self._abandon()
        self._linger()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """
        Take in what was read; a fault in it ends the connection with an answer that names it.
        """
        if self._state in (_State.FAULTY, _State.LINGERING):
            return
        self._overhead_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if _is_ours(error):
                raise
            self._refuse(errors.InvalidRequest("no HTTP/1.1; its first line, a header or a chunk is not well-formed"))
        if self._overhead_bytes > MAX_HEAD_BYTES:
            self._refuse(errors.HeadTooLarge(f"the request's head or trailers are larger than {MAX_HEAD_BYTES} bytes"))
        self._watch()

    def on_message_begin(self) -> None:
        """
        A request's first byte.
        """
        if self._state is _State.IDLE:
            self._state = _State.HEAD
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """
        A part of its target.
        """
        if self._state is _State.HEAD:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        One of its headers; a trailer is none (RFC 9110, 6.5.1).
        """
        if self._state is _State.HEAD:
            super().on_header(name, value)
            if len(self.headers) > MAX_HEADERS:
                self._refuse(errors.HeadTooLarge(f"the request has more than {MAX_HEADERS} headers"))

    def on_headers_complete(self) -> None:
        """
        Its head's end: the application begins.
        """
        self._overhead_bytes = 0
        if self._state is not _State.HEAD:
            return
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110, 10.1.1
        if not self.url.startswith(b"/") and httptools.parse_url(self.url).path is None:
            raise httptools.HttpParserInvalidURLError  # which uvicorn overlooks
        if len(self._open) > MAX_PIPELINED:
            self._refuse(errors.Overloaded("too many requests at once on one connection; wait for answers"))
        else:
            super().on_headers_complete()
            self.cycle.transport = cast("asyncio.Transport", Answering(self.transport, self.end))  # what is used of it
            self._open.append(self.cycle)
            self._state = _State.BODY

    def on_body(self, body: bytes) -> None:
        """
        A piece of its body.
        """
        self._overhead_bytes = 0
        if self._state is _State.BODY:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """
        Its last byte; after an upgrade's head the parser says so too early.
        """
        self._overhead_bytes = 0
        if self._state is _State.LAST:
            self._linger()
        elif self._state is _State.BODY and not self.parser.should_upgrade():
            self._state = _State.IDLE
            super().on_message_complete()
            self.flow.resume_reading()  # paused by a large body, or for a second request: to see the client leave

    def on_response_complete(self) -> None:
        """
        Its answer is out; where that came before its last byte, the rest is read and dropped, for a while.
        """
        self.server_state.total_requests += 1
        if not self._open:  # after `end`
            return
        self._open.popleft()
        self._start_next()
        self.flow.resume_reading()
        if self._state is _State.FAULTY:
            self._end_faulty()
        self._watch()

    def pause_writing(self) -> None:
        """
        The client does not read its answers.
        """
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """
        It has read them.
        """
        super().resume_writing()
        self._start_next()
        self._watch()

    def end(self) -> None:
        """
        Close, once the request is in: what was just answered was the connection's last.
        """
        if self.transport.is_closing():
            return
        self._open.clear()
        self.pipeline.clear()
        if self._state is _State.BODY:
            self._state = _State.LAST
            self.flow.resume_reading()
        elif self._state is not _State.LAST:
            self._linger()
        self._watch()

    def shutdown(self) -> None:
        """
        Close, once what is at work is answered, or the request that has begun.

        Its answer is told to be the connection's last (`Drain`), so none is owed to what lies behind it.
        """
        if self._open:
            self._open[-1].keep_alive = False
        elif self._state is _State.IDLE:
            self.transport.close()
        elif self._state is _State.BODY:
            self.end()

    @property
    def idle_since(self) -> float | None:
        """
        From when on its client has asked nothing, in seconds of the loop's clock; None while it does.
        """
        return self._patience.since if self._state is _State.IDLE and not self._open else None

    def _make_room(self) -> bool:
        # A probe connects anew: clients who only keep connections must not have this process restarted.
        others = (cast("BoundedHttp", other) for other in self.connections if other is not self)
        idle = [(other.idle_since, other) for other in others if other.idle_since is not None]
        if idle:
            _, longest = min(idle, key=itemgetter(0))
            self.connections.discard(longest)
            longest.shutdown()
        return bool(idle)

    def _start_next(self) -> None:
        if self.pipeline and len(self.pipeline) == len(self._open):  # none is at work
            self._start_asgi_task(*self.pipeline.pop())

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # while answers are not read no request is worked on: the next answer would keep its place for as long
        if self.flow.write_paused:
            self.pipeline.append((cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._retold() + data[upgrade.args[0] :] if self._state is _State.BODY else b""
            else:
                return

    def _retold(self) -> bytes:
        # We upgrade to nothing, so the request goes on as it is (RFC 9110, 7.8). The parser takes it for over; another
        # one is told what frames the body.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as upstream
        framing = [b"%b: %b" % header for header in self.headers if header[0] in _FRAMING]
        return b"\r\n".join([b"POST / HTTP/1.1", *framing, b"", b""])

    def _refuse(self, error: errors.ServiceError) -> None:
        if self._state in (_State.FAULTY, _State.LINGERING):
            return
        if self._state is _State.BODY:  # the request has its place in the line of answers: it is told there
            client_of(self.cycle.scope).fault = error
            self.cycle.keep_alive = False
            self.cycle.message_event.set()
        elif self._state is not _State.LAST:  # whose answer is out
            headers = self.headers if self._state is _State.HEAD else []
            client = self.client[0] if self.client else ""
            self._refusal = partial(refusal, error, headers, client, self._observer)
        self._state = _State.FAULTY
        self._end_faulty()

    def _end_faulty(self) -> None:
        if self._open:
            return
        if self._refusal:
            self.transport.write(self._refusal())
        self._linger()

    def _linger(self) -> None:
        # closed at once, the kernel would reset the connection for what the client sent meanwhile (RFC 9112, 9.6)
        self._state = _State.LINGERING
        self.flow.resume_reading()
        self.transport.write_eof()
        self.transport.set_write_buffer_limits(high=0)  # so that `resume_writing` tells when the last byte is out

    def _abandon(self) -> None:
        for cycle in self._open:
            cycle.disconnected = True
            cycle.message_event.set()
            client_of(cycle.scope).leave()
        self._open.clear()
        self.pipeline.clear()

    def _watch(self) -> None:
        if self.flow.write_paused:
            self._patience.await_next(_Answers.READ, _UNREAD_SECONDS, self._too_late)
        elif self._open:
            self._patience.await_next(_Answers.MADE, None, self._too_late)  # the application's layers bound it
        else:
            self._patience.await_next(self._state, self._patience_seconds(), self._too_late)

    def _patience_seconds(self) -> float:
        match self._state:
            case _State.LINGERING:
                return _LINGER_SECONDS
            case _State.IDLE if self.cycle:
                return self.timeout_keep_alive
            case _:
                return self._receive_timeout_seconds

    def _too_late(self) -> None:
        if self._patience.awaited is _State.HEAD:
            self._refuse(errors.SlowRequest(self._receive_timeout_seconds))
            self._watch()
        else:
            self._abandon()
            self.transport.abort()


def _is_ours(error: httptools.HttpParserError) -> bool:
    """
    Whether a callback of the parser's failed, and for another reason than what it was told.
    """
    is_callback = isinstance(error, httptools.HttpParserCallbackError)
    return is_callback and not isinstance(error.__context__, httptools.HttpParserError)
