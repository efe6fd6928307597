"""
A small HTTP/1.1 client: the load shares its cores with what it measures, so a request must cost little.
"""

import asyncio
from typing import NamedTuple, cast

import httptools
import orjson

PREDICT = "/v1/models/sentiment:predict"


class Response(NamedTuple):
    """
    An answer; the headers' names are in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def get(path: str) -> bytes:
    """
    A GET request.
    """
    return f"GET {path} HTTP/1.1\r\nhost: faults\r\n\r\n".encode()


def post(path: str, content: object) -> bytes:
    """
    A POST request of JSON.
    """
    body = orjson.dumps(content)
    head = f"POST {path} HTTP/1.1\r\nhost: faults\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return b"%b\r\n\r\n%b" % (head.encode(), body)


class Connection(asyncio.Protocol):
    """
    One keep-alive connection; it carries one request at a time.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""
        self._answer: asyncio.Future[Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Begin.
        """
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[Response]:
        """
        Send a request; its answer comes, or a `ConnectionError`.
        """
        self._headers, self._body = {}, b""
        self._answer = asyncio.get_running_loop().create_future()
        if self.is_open:
            self.transport.write(request)
        else:
            self._answer.set_exception(ConnectionError("closed"))
        return self._answer

    def data_received(self, data: bytes) -> None:
        """
        Take in what was read.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        A header of the answer.
        """
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """
        A part of its body.
        """
        self._body += body

    def on_message_complete(self) -> None:
        """
        Its end.
        """
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer and not self._answer.done():
            self._answer.set_result(Response(self._parser.get_status_code(), self._headers, self._body))

    def connection_lost(self, exc: Exception | None) -> None:
        """
        End.
        """
        self.is_open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError(str(exc or "closed before an answer")))

    def close(self) -> None:
        """
        Leave, whatever is under way.
        """
        self.is_open = False
        self.transport.abort()


class Client:
    """
    As many connections to a port of loopback as are needed at once.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    async def connect(self) -> Connection:
        """
        Open a connection of one's own.

        Raises:
            OSError: nobody listens.
        """
        return (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port))[1]

    async def ask(self, request: bytes, *, timeout_seconds: float) -> Response:
        """
        Send a request.

        Raises:
            OSError: there was no answer; `TimeoutError` is one.
        """
        connection = None
        while self._idle and not (connection and connection.is_open):
            connection = self._idle.pop()
        async with asyncio.timeout(timeout_seconds):
            if not (connection and connection.is_open):
                connection = await self.connect()
            try:
                response = await connection.ask(request)
            except BaseException:
                connection.close()
                raise
        self._idle.append(connection)
        return response

    def close(self) -> None:
        """
        Leave.
        """
        for connection in self._idle:
            connection.close()
        self._idle.clear()
