"""
Requests that no honest client sends: each gets a reason, costs little, and the next request is served.
"""

import contextlib
import gzip
import json
import random
import re
import select
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from processes import Service, held_predictor, metric, predictor, transformer, until
from test_predict import BULK, PREDICT

INFER = "/v2/models/sentiment/infer"
GOOD = b'{"text": ["I love it"]}'
LENGTH = b"content-length: %d\r\n" % len(GOOD)
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
MEBIBYTE = 1024 * 1024


def request(*headers: bytes, body: bytes = GOOD, start: bytes = b"POST %b HTTP/1.1" % PREDICT.encode()) -> bytes:
    """
    A request as it goes over the wire.
    """
    return b"".join([start, b"\r\nhost: x\r\n", *headers, b"\r\n", body])


def exchange(service: Service, content: bytes) -> bytes:
    """
    All that the service answers to this, and to a question behind it, until it closes the connection.
    """
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(content + b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = b""
        with contextlib.suppress(ConnectionResetError):  # it may close before it has read everything
            while chunk := connection.recv(65536):
                received += chunk
        return received


def statuses(received: bytes) -> list[int]:
    """
    The statuses of the answers in a stream of bytes, an interim one aside.
    """
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received) if status != b"100"]


def resident_bytes(service: Service) -> int:
    """
    Memory of the process.
    """
    resident: int = psutil.Process(service.popen.pid).memory_info().rss
    return resident


def counted(service: Service, status: int) -> float:
    """
    How many requests are counted under this status, on any route or none.
    """
    labels = f'protocol="rest",route="[^"]*",status="{status}"'
    return sum(
        float(line.split()[-1])
        for line in httpx.get(f"{service.url}/metrics").text.splitlines()
        if "_requests_total{" in line and re.search(labels, line)
    )


WELL_FORMED = {
    "plain": request(LENGTH),
    "chunked": request(CHUNKED, body=CHUNKS),
    "chunked, with trailers": request(CHUNKED, body=CHUNKS[:-2] + b"x: 1\r\n\r\n"),
    "chunked, with trailers that would matter in the head": request(
        CHUNKED, body=CHUNKS[:-2] + b"content-encoding: br\r\nexpect: 100-continue\r\n\r\n"
    ),
    "expect: 100-continue": request(LENGTH, b"expect: 100-continue\r\n"),
    "an offer of HTTP/2": request(
        LENGTH, b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    ),
    "an offer of HTTP/2, chunked": request(CHUNKED, b"connection: upgrade\r\nupgrade: h2c\r\n", body=CHUNKS),
    "an offer of HTTP/2 with much else": request(
        LENGTH, b"connection: upgrade\r\n", b"connection: keep-alive\r\nupgrade: h2c\r\nexpect: 100-continue\r\n"
    ),
    "an offer of a websocket": request(
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n", body=b"", start=b"GET / HTTP/1.1"
    ),
    "a body where none belongs": request(LENGTH, start=b"GET / HTTP/1.1"),
    "a length with many zeros": request(LENGTH.replace(b": ", b": " + b"0" * 5000)),
    "many headers": request(LENGTH, *[b"x-%d: v\r\n" % number for number in range(200)]),
}

MALFORMED = {
    "length negative": request(b"content-length: -5\r\n"),
    "length signed": request(b"content-length: +23\r\n"),
    "length beyond 64 bits": request(b"content-length: 99999999999999999999\r\n"),
    "length no number": request(b"content-length: many\r\n"),
    "two lengths": request(LENGTH, b"content-length: 5\r\n"),
    "length and chunks": request(LENGTH, CHUNKED, body=CHUNKS),
    "chunks and length": request(CHUNKED, LENGTH, body=CHUNKS),
    "chunked, then coded": request(b"transfer-encoding: chunked, gzip\r\n", body=CHUNKS),
    "an unknown coding": request(b"transfer-encoding: xchunked\r\n", body=CHUNKS),
    "a chunk of no size": request(CHUNKED, body=b"zz\r\n"),
    "a chunk beyond 64 bits": request(CHUNKED, body=b"fffffffffffffffff\r\n"),
    "a chunk longer than its size": request(CHUNKED, body=b"1\r\n%b\r\n0\r\n\r\n" % GOOD),
    "NUL in a header": request(LENGTH, b"x: a\0b\r\n"),
    "a folded header": request(LENGTH, b"x: a\r\n b\r\n"),
    "a space before the colon": request(b"content-length : 23\r\n"),
    "bare line feeds": request(LENGTH).replace(b"\r\n", b"\n"),
    "no such method": request(LENGTH, start=b"LOVE / HTTP/1.1"),
    "a target without a path": request(LENGTH, start=b"POST http://x HTTP/1.1"),
    "a tunnel": request(start=b"CONNECT x:1 HTTP/1.1", body=b""),
    "bytes beyond ASCII in the path": request(LENGTH, start=b"POST /\xff HTTP/1.1"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "noise": b"\x00\x01\x02\x03\r\n\r\n",
}

SURROGATE, CONTROL, NOT_UTF8 = b'{"text": "\\ud800"}', b'{"text": "a\0b"}', b'{"text": "\xff\xfe"}'
INVALID = {
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "100,000 brackets for a text": b'{"text": %b%b}' % (b"[" * 100_000, b"]" * 100_000),
    "100,000 objects": b'{"text":' * 100_000 + b"1" + b"}" * 100_000,
    "NUL": CONTROL,
    "a lone surrogate": SURROGATE,
    "an encoded surrogate": b'{"text": "\xed\xa0\x80"}',
    "no UTF-8": NOT_UTF8,
    "an overlong NUL": b'{"text": "\xc0\x80"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "NaN": b'{"text": [NaN]}',
    "infinity": b'{"text": -Infinity}',
    "a number beyond doubles": b'{"text": "a", "x": 1e999}',
    "an integer of 1,000,000 digits": b'{"text": "a", "x": %b}' % (b"9" * 1_000_000),
    "an integer for a text": b'{"text": [%b]}' % (b"9" * 300),
    "the last of two equal keys wrong": b'{"text": ["a"], "inputs": [], "text": 1, "inputs": 1}',
    "two documents": GOOD + GOOD,
    "nothing": b"",
    "a byte order mark alone": b"\xef\xbb\xbf",
}

TOO_LARGE = {
    "100,000 texts": (json.dumps({"text": ["a"] * 100_000}).encode(), {}),
    "100,000 numbers": (json.dumps({"text": [1] * 100_000}).encode(), {}),
    "a text of 5 MiB": (json.dumps({"text": ["a" * 5 * MEBIBYTE]}).encode(), {}),
    "a gzip bomb": (gzip.compress(b" " * 64 * MEBIBYTE), {"content-encoding": "gzip"}),
}

VALID = {
    "NUL, escaped": b'{"text": ["a\\u0000b"]}',
    "control characters, escaped": b'{"text": ["\\u0001\\u001f\\u007f\\b"]}',
    "a pair of surrogates": b'{"text": ["\\ud83d\\ude00"]}',
    "the last of two equal keys right": b'{"text": 1, "text": ["a"]}',
    "fields that nobody named": b'{"text": ["a"], "x": %b1%b}' % (b"[" * 900, b"]" * 900),
    "1,300,000 lists that nobody named": b'{"text": ["a"], "x": [%b[]]}' % (b"[]," * 1_300_000),
    "no letter": b'{"text": ["", " ", "\\n"]}',
    "one text of 3 MB": json.dumps({"text": ["very " * 600_000]}).encode(),
}


@pytest.fixture(params=["predictor_service", "transformer_service"])
def service(request: pytest.FixtureRequest) -> Service:
    """
    Either service.
    """
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("content", WELL_FORMED.values(), ids=WELL_FORMED)
def test_well_formed_is_served(service: Service, content: bytes) -> None:
    """
    Every form of a request that HTTP allows is answered, and so is the request behind it on the connection.
    """
    assert statuses(exchange(service, content)) == [200, 200]


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_malformed_ends_the_connection(service: Service, content: bytes) -> None:
    """
    What is not HTTP, or can be read in two ways, gets 400 in the contract's shape, and nothing behind it is read.

    It is counted once, as nothing else, and has its line under the request id that the client is told.
    """
    before, left_before = counted(service, 400), counted(service, 499)
    received = exchange(service, content)
    assert statuses(received) == [400]
    assert set(json.loads(received.partition(b"\r\n\r\n")[2])) == {"error", "error_type"}
    assert (counted(service, 400), counted(service, 499)) == (before + 1, left_before)
    [name] = re.findall(rb"x-request-id: (\S+)", received)
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if name.decode() in line]
    assert (400, "validation") in [(line["status"], line["error_type"]) for line in lines]
    assert service.ready()


def test_length_too_short_ends_the_connection(service: Service) -> None:
    """
    What lies behind the promised length is the next request, and none; the first has its own answer.
    """
    assert statuses(exchange(service, request(b"content-length: 5\r\n"))) == [400, 400]


def test_refused_body_that_was_waited_for_is_no_fault(service: Service) -> None:
    """
    A chunk that is none, behind a head that expects to be told to go on, gets 400 and nothing after it.
    """
    received = exchange(service, request(b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n", body=b"zz\r\n"))
    assert statuses(received) == [400]
    assert service.ready()
    assert "after write_eof" not in service.log.read_text()


@pytest.mark.parametrize(
    "header",
    [b"x: " + b"a" * MEBIBYTE, b"a:\r\n" * 200_000, b"a:\r\n" * 300],
    ids=["large", "many", "more than anybody needs"],
)
def test_flood_of_headers_is_refused(service: Service, header: bytes) -> None:
    """
    A head without an end, by one header or by many, gets 431.
    """
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        with contextlib.suppress(ConnectionError):  # it may close before it has read everything
            connection.sendall(b"GET / HTTP/1.1\r\n" + header)
        assert statuses(connection.recv(65536)) == [431]
    assert service.ready()


@pytest.mark.parametrize("part", [b"a:b\r\n" * 13_000, b"x" * 65536], ids=["many", "one"])
def test_flood_of_trailers_is_refused(service: Service, part: bytes) -> None:
    """
    Trailers without an end, or one, get 431 and take no memory.
    """
    before = resident_bytes(service)
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(request(CHUNKED, body=b"1\r\n{\r\n0\r\na: "))
        for _ in range(1000):
            if select.select([connection], [], [], 0)[0]:
                break
            connection.sendall(part)
        assert statuses(connection.recv(65536)) == [431]
    assert resident_bytes(service) < before + 32 * MEBIBYTE
    assert service.ready()


def test_head_begun_after_an_answer_ends(predictor_service: Service) -> None:
    """
    A client that was answered and then begins a request, by a byte, is not waited for longer than for its first.
    """
    live = request(body=b"", start=b"GET /v2/health/live HTTP/1.1")
    with (
        transformer(predictor_service.port, RECEIVE_TIMEOUT_SECONDS="1") as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection,
    ):
        connection.sendall(live)
        assert statuses(connection.recv(65536)) == [200]
        connection.sendall(b"P")
        assert statuses(b"".join(iter(lambda: connection.recv(65536), b""))) == [408]


def test_pipelining_client_that_leaves_frees_its_place() -> None:
    """
    A request whose client has left is given up, though another was sent behind it.
    """
    with held_predictor() as (port, come, _), transformer(port, PREDICTOR_TIMEOUT_SECONDS="600") as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
            connection.sendall(request(LENGTH))
            assert come.wait(60)
            connection.sendall(request(LENGTH))
            assert metric(service, "sentiment_transformer_requests_in_flight") == 1
        until(lambda: metric(service, "sentiment_transformer_requests_in_flight") == 0)
        assert "Traceback" not in service.log.read_text()


def test_answers_that_are_not_read_hold_no_places(predictor_service: Service) -> None:
    """
    A client that does not read takes no place while it does not, and gets every answer once it does.
    """
    body = json.dumps({"text": ["I love it"] * 4096}).encode()
    many = request(b"content-length: %d\r\n" % len(body), body=body) * 40
    with transformer(predictor_service.port, MAX_REQUESTS_IN_FLIGHT="1") as service, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", service.port))
        sender = threading.Thread(target=connection.sendall, args=(many,))
        sender.start()
        until(lambda: metric(service, "sentiment_transformer_request_seconds_count") > 1)
        until(lambda: not any(metric(service, "sentiment_transformer_requests_in_flight") for _ in range(20)))
        assert httpx.post(service.url + PREDICT, content=GOOD, timeout=60).status_code == 200
        received = b""
        while received.count(b"HTTP/1.1 ") < 40 and (chunk := connection.recv(1024 * 1024)):
            received += chunk
        sender.join()
    assert statuses(received) == [200] * 40


def test_chunks_without_end_are_refused(service: Service) -> None:
    """
    A chunked body that never ends gets 413 as soon as it is past the limit.
    """
    chunk = b"10000\r\n%b\r\n" % (b" " * 65536)
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(request(CHUNKED, body=b""))
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(chunk)
        assert statuses(connection.recv(65536)) == [413]
    assert service.ready()


@pytest.mark.parametrize("refused", [b"GET /v2/models/other", b"DELETE /v2", b"GET / NOTHING"])
def test_early_answer_reaches_who_still_sends(service: Service, refused: bytes) -> None:
    """
    An answer that comes before the request's end, the connection's last, is not lost to a client that goes on sending.
    """
    head = request(b"connection: close\r\n", CHUNKED, body=b"5\r\nhello\r\n", start=refused + b" HTTP/1.1")
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(head)
        assert select.select([connection], [], [], 60)[0]
        for _ in range(20):
            connection.sendall(b"5\r\nhello\r\n")
        connection.sendall(b"0\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    [status] = statuses(received)
    assert 400 <= status < 500
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]


def test_body_shorter_than_promised_is_no_request(service: Service) -> None:
    """
    A client that closes before its promised body is whole is not answered, and no model is asked.
    """
    before = service.log.read_text().count('"client_left"')
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(request(b"content-length: 500\r\n"))
    until(lambda: service.log.read_text().count('"client_left"') == before + 1)


@pytest.mark.parametrize("framed", [{"headers": (LENGTH,)}, {"headers": (CHUNKED,), "body": CHUNKS}, {}])
@pytest.mark.parametrize("connection", [b"upgrade, close", b"upgrade\r\nconnection: close"])
def test_last_request_may_offer_an_upgrade(service: Service, framed: Any, connection: bytes) -> None:
    """
    A request that offers an upgrade and is its connection's last is answered, with a body or without one.
    """
    headers = (b"connection: %b\r\nupgrade: h2c\r\n" % connection, *framed.get("headers", (b"content-length: 0\r\n",)))
    received = exchange(service, request(*headers, body=framed.get("body", GOOD if framed else b"")))
    assert statuses(received) == [200 if framed else 400]


def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    """
    A client of HTTP/1.0 gets its answer and the connection's end.
    """
    start = b"POST %b HTTP/1.0" % PREDICT.encode()
    assert statuses(exchange(service, request(LENGTH, start=start))) == [200]


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    """
    Requests sent without waiting are each answered, in their order, right and wrong ones.
    """
    ids = [b"id-%d" % number for number in range(20)]
    sent = [
        request(b"x-request-id: %b\r\n" % name, LENGTH, body=GOOD if number % 3 else b"!" * len(GOOD))
        for number, name in enumerate(ids)
    ]
    received = exchange(service, b"".join(sent))
    assert re.findall(rb"x-request-id: (id-\d+)", received) == ids
    assert statuses(received)[:20] == [200 if number % 3 else 400 for number in range(20)]


@pytest.mark.parametrize("path", [PREDICT, INFER])
@pytest.mark.parametrize("content", INVALID.values(), ids=INVALID)
def test_invalid_body_has_a_reason(service: Service, path: str, content: bytes) -> None:
    """
    A body that is no JSON, or not the route's, is 400 with a reason that repeats nothing of it.
    """
    response = httpx.post(service.url + path, content=content, timeout=60)
    assert (response.status_code, response.json()["error_type"]) == (400, "validation")
    assert len(response.json()["error"]) < 200
    assert service.ready()


@pytest.mark.parametrize("path", ["/predict", BULK])
@pytest.mark.parametrize("content", INVALID.values(), ids=INVALID)
def test_invalid_body_has_fastapis_reason(transformer_service: Service, path: str, content: bytes) -> None:
    """
    On the older routes such a body is 422, with FastAPI's `detail`.
    """
    response = httpx.post(transformer_service.url + path, content=content, timeout=60)
    assert (response.status_code, response.json()["error_type"]) == (422, "validation")
    assert response.json()["detail"][0]["msg"] == response.json()["error"]


@pytest.mark.parametrize("path", [PREDICT, BULK, "/predict"])
@pytest.mark.parametrize(("content", "headers"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_too_large_has_a_reason(
    transformer_service: Service, path: str, content: bytes, headers: dict[str, str]
) -> None:
    """
    A body that is too large, sent or inflated, or of too many texts, is 413.
    """
    response = httpx.post(transformer_service.url + path, content=content, headers=headers, timeout=60)
    assert (response.status_code, response.json()["error_type"]) == (413, "too_large")
    assert transformer_service.ready()


@pytest.mark.parametrize("content", VALID.values(), ids=VALID)
def test_odd_but_valid_body_is_answered(service: Service, content: bytes) -> None:
    """
    What JSON allows is answered, however odd it is.
    """
    assert httpx.post(service.url + PREDICT, content=content, timeout=60).status_code == 200


@pytest.fixture(scope="module")
def stormed() -> Iterator[tuple[Service, Service]]:
    """
    A predictor and a transformer of this module's own, to be measured.
    """
    with predictor() as model, transformer(model.port) as service:
        yield model, service


def storm(service: Service) -> None:
    """
    All of the above, at once and in any order.
    """
    with httpx.Client(base_url=service.url, timeout=60) as client:
        bodies = [*INVALID.values(), *VALID.values()]
        for content in random.sample(bodies, len(bodies)):
            client.post(PREDICT, content=content)
        for content, headers in TOO_LARGE.values():
            client.post(PREDICT, content=content, headers=headers)
    for content in (*WELL_FORMED.values(), *MALFORMED.values()):
        exchange(service, content)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted, and given back, as Linux does it")
def test_storms_leave_no_memory_behind(stormed: tuple[Service, Service]) -> None:
    """
    After storms of such requests the transformer has the memory it had before, and the predictor that of the first.
    """
    model, service = stormed
    httpx.post(service.url + PREDICT, content=GOOD)
    service_before = resident_bytes(service)
    storm(service)
    model_before = resident_bytes(model)
    for _ in range(3):
        storm(service)
    assert resident_bytes(service) < 1.1 * service_before
    assert resident_bytes(model) < 1.1 * model_before
