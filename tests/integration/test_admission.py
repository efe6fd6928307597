"""
What the transformer takes on at once, over REST and gRPC: real processes, crowds, slow clients and a Redis that fails.
"""

import contextlib
import json
import select
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from processes import Redis, Service, held_predictor, transformer, until
from serving.admission import FREE_BYTES
from test_life import infer
from test_predict import PREDICT, ask, new_text

RATE_LIMITED = (429, "rate_limited")


def verdict(response: httpx.Response) -> tuple[int, str]:
    """
    A response's status and, for a refusal, its word.
    """
    return response.status_code, response.json().get("error_type", "")


def rpc_verdict(service: Service, text: bytes = b"a", **metadata: str) -> tuple[grpc.StatusCode, str]:
    """
    A call's code, and its words.
    """
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        request = pb.ModelInferRequest(model_name="sentiment")
        request.inputs.add(name="text", shape=[1], datatype="BYTES").contents.bytes_contents.append(text)
        sent = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        try:
            GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=sent)
        except grpc.RpcError as error:
            return error.code(), error.details()  # type: ignore[attr-defined]  # a call that failed is both
        return grpc.StatusCode.OK, ""


def head(length: int) -> bytes:
    """
    A request's head that promises so many bytes.
    """
    return f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


def send(service: Service, content: bytes) -> socket.socket:
    """
    A new connection on which something was sent.
    """
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    connection.sendall(content)
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    """
    All that comes until the service closes the connection.
    """
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def accepts(connection: socket.socket) -> bool:
    """
    Whether the service still takes what is sent.
    """
    try:
        connection.sendall(b"x" * 65536)
    except ConnectionError:
        return False
    return True


class Crowd:
    """
    Clients of a transformer whose predictor holds every new text until it is released.
    """

    def __init__(self, service: Service, released: threading.Event, pool: ThreadPoolExecutor) -> None:
        self.service, self.released, self._pool = service, released, pool
        released.set()
        httpx.post(service.url + PREDICT, json={"text": "known"})
        released.clear()

    def rest(self, count: int) -> list[Future[httpx.Response]]:
        url = self.service.url + PREDICT
        return [self._pool.submit(httpx.post, url, json={"text": new_text()}, timeout=60) for _ in range(count)]

    def rpc(self, count: int) -> list[Future[tuple[grpc.StatusCode, str]]]:
        return [self._pool.submit(rpc_verdict, self.service, new_text().encode()) for _ in range(count)]

    def full(self) -> bool:
        """
        Whether even a text that is known is refused, because every place is taken.
        """
        return verdict(httpx.post(self.service.url + PREDICT, json={"text": "known"})) == (429, "overloaded")


@contextlib.contextmanager
def crowd(**settings: str) -> Iterator[Crowd]:
    """
    A crowd at a transformer with these settings.
    """
    with (
        held_predictor() as (port, _, released),
        transformer(port, **settings) as service,
        ThreadPoolExecutor(64) as pool,
    ):
        try:
            yield Crowd(service, released, pool)
        finally:
            released.set()


@pytest.fixture(scope="module")
def impatient() -> Iterator[Crowd]:
    """
    A crowd with one place, at a transformer that waits for a request for 2 seconds.
    """
    with crowd(MAX_REQUESTS_IN_FLIGHT="1", RECEIVE_TIMEOUT_SECONDS="2") as clients:
        yield clients


def test_crowd_beyond_the_bound_is_refused_at_once() -> None:
    """
    Of a crowd as many are served as there are places, and the others get 429 while those are still at work.
    """
    with crowd(MAX_REQUESTS_IN_FLIGHT="3") as clients:
        asked = clients.rest(20)
        until(lambda: sum(each.done() for each in asked) == 17)
        for each in asked:
            if each.done():
                assert verdict(each.result()) == (429, "overloaded")
                assert each.result().headers["retry-after"] == "1"
        clients.released.set()
        assert sorted(each.result().status_code for each in asked) == [200] * 3 + [429] * 17


def test_hits_find_room_while_the_predictor_hangs() -> None:
    """
    A quarter of the places is left to what the cache knows, however many wait for a predictor that hangs.
    """
    with crowd(MAX_REQUESTS_IN_FLIGHT="8") as clients:
        asked = clients.rest(20)
        until(lambda: sum(each.done() for each in asked) == 14)
        assert not clients.full()
        clients.released.set()
        assert sorted(each.result().status_code for each in asked) == [200] * 6 + [429] * 14


def test_rest_and_grpc_share_the_places() -> None:
    """
    Places that calls of gRPC take are missing to REST, and the other way round.
    """
    with crowd(MAX_REQUESTS_IN_FLIGHT="3") as clients:
        over_rest, over_rpc = clients.rest(1), clients.rpc(2)
        until(clients.full)
        code, words = rpc_verdict(clients.service, b"known")
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "3 requests" in words
        clients.released.set()
        assert [each.result().status_code for each in over_rest] == [200]
        assert [each.result()[0] for each in over_rpc] == [grpc.StatusCode.OK] * 2


def test_what_watches_the_service_is_never_refused() -> None:
    """
    With every place taken, health, metadata and metrics are answered, over REST and gRPC.
    """
    with crowd(MAX_REQUESTS_IN_FLIGHT="1") as clients:
        clients.rest(1)
        until(clients.full)
        for path in ("/health", "/v2/health/ready", "/v2/health/live", "/v2/models/sentiment", "/metrics"):
            assert httpx.get(clients.service.url + path).status_code == 200
        with grpc.insecure_channel(f"127.0.0.1:{clients.service.grpc_port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            assert stub.ServerReady(pb.ServerReadyRequest()).ready
            assert stub.ModelMetadata(pb.ModelMetadataRequest(name="sentiment")).name == "sentiment"


def test_clients_that_leave_free_their_places() -> None:
    """
    A place is free again when its client disconnects, cancels its call or gets an error, every time.
    """
    with crowd(MAX_REQUESTS_IN_FLIGHT="2") as clients:
        address = f"127.0.0.1:{clients.service.grpc_port}"
        for _ in range(5):
            body = json.dumps({"text": new_text()}).encode()
            with send(clients.service, head(len(body)) + body), grpc.insecure_channel(address) as channel:
                request = pb.ModelInferRequest(model_name="sentiment")
                tensor = request.inputs.add(name="text", shape=[1], datatype="BYTES")
                tensor.contents.bytes_contents.append(new_text().encode())
                call = GRPCInferenceServiceStub(channel).ModelInfer.future(request)
                until(clients.full)
                call.cancel()
            until(lambda: not clients.full())
        for content in ("[", '{"text": 1}', '{"text": "known"}'):
            for _ in range(5):
                response = httpx.post(clients.service.url + PREDICT, content=content)
                assert response.status_code == (200 if "known" in content else 400)


def test_slow_senders_keep_nobody_out(impatient: Crowd) -> None:
    """
    Clients that stop within their bodies take no places, and are told 408 when their time is up.
    """
    stuck = [send(impatient.service, head(100) + b"{") for _ in range(50)]
    assert not impatient.full()
    for connection in stuck:
        answer = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"error_type":"slow"' in answer
    assert not impatient.full()


@pytest.mark.parametrize("begun", [b"", b"POST / HTTP/1.1\r\nx: ", b"GET /health HTTP/1.1\r\n\r\nGET /"])
def test_slow_heads_end(impatient: Crowd, begun: bytes) -> None:
    """
    A connection on which no head is completed in its time ends, the first one or a later one.
    """
    answer = read_to_end(send(impatient.service, begun))
    assert answer.count(b"HTTP/1.1 408 ") == bool(begun)
    assert not impatient.full()


def test_rest_of_a_refused_body_is_not_read_for_ever(impatient: Crowd) -> None:
    """
    A client that goes on sending a body that was refused is cut off when its time is up.
    """
    with send(impatient.service, head(10**12)) as connection:
        until(lambda: not accepts(connection))
    assert not impatient.full()


def test_slow_calls_end(impatient: Crowd) -> None:
    """
    A call whose message does not come in its time is DEADLINE_EXCEEDED, and keeps nobody out.
    """
    never = threading.Event()
    with grpc.insecure_channel(f"127.0.0.1:{impatient.service.grpc_port}") as channel:
        infer_in_pieces: Any = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
        calls = [infer_in_pieces.future(iter(never.wait, 1)) for _ in range(5)]
        assert not impatient.full()
        assert {call.code() for call in calls} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        never.set()


def test_bodies_together_are_bounded() -> None:
    """
    Bodies that are being sent hold 16 times the largest at once; others are 429, small ones pass, and room comes back.
    """
    size = 1_000_000
    room = 16 * size // (size - FREE_BYTES)
    whole = json.dumps({"text": "known"}).ljust(size)
    with crowd(MAX_BODY_BYTES=str(size), RECEIVE_TIMEOUT_SECONDS="600") as clients, contextlib.ExitStack() as stack:
        stuck = [stack.enter_context(send(clients.service, head(size) + b" " * (size - 1))) for _ in range(room + 8)]
        until(lambda: len(select.select(stuck, [], [], 0)[0]) >= 8)
        for connection in select.select(stuck, [], [], 0)[0]:
            assert connection.recv(65536).startswith(b"HTTP/1.1 429 ")
        assert not clients.full()
        stack.close()
        until(lambda: httpx.post(clients.service.url + PREDICT, content=whole).is_success)
        for _ in range(room + 8):
            assert httpx.post(clients.service.url + PREDICT, content=whole).is_success


def test_replicas_count_a_client_together(predictor_service: Service) -> None:
    """
    Two transformers on one Redis let a client in as often as its rate says, and then tell it when to come again.
    """
    settings = {"RATE_LIMIT": "6/hour", "RATE_LIMIT_KEY": "x-client"}
    with (
        Redis() as redis,
        transformer(predictor_service.port, redis, **settings) as one,
        transformer(predictor_service.port, redis, **settings) as two,
    ):
        for service in (one, two):
            for path in (PREDICT, "/predict"):
                assert httpx.post(service.url + path, json={"text": "a"}, headers={"x-client": "k"}).is_success
            assert rpc_verdict(service, x_client="k")[0] is grpc.StatusCode.OK
        for service in (one, two):
            refused = httpx.post(service.url + PREDICT, json={"text": "a"}, headers={"x-client": "k"})
            assert verdict(refused) == RATE_LIMITED
            assert 1 <= int(refused.headers["retry-after"]) <= 3600
            code, words = rpc_verdict(service, x_client="k")
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "6 per 1 hour" in words
            assert httpx.post(service.url + PREDICT, json={"text": "a"}, headers={"x-client": "l"}).is_success
            assert httpx.get(f"{service.url}/health", headers={"x-client": "k"}).is_success


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_redis_that_fails_refuses_nobody(predictor_service: Service, number: signal.Signals) -> None:
    """
    While Redis is dead or hangs, a rate limit lets every request pass.
    """
    settings = {"RATE_LIMIT": "1/hour", "REDIS_TIMEOUT_MS": "50"}
    with Redis() as redis, transformer(predictor_service.port, redis, **settings) as service:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            until(lambda: verdict(ask(client, "a")) == RATE_LIMITED)
            redis.signal(number)
            until(lambda: ask(client, "a").is_success)
            assert {ask(client, "a").status_code for _ in range(50)} == {200}
        assert rpc_verdict(service)[0] is grpc.StatusCode.OK
        assert infer(service, b"a").outputs


@pytest.mark.parametrize(
    ("trusted", "forwarded"), [("", "203.0.113.{}"), ("127.0.0.0/8,10.0.0.0/8", "203.0.113.{}, 198.51.100.7, 10.0.0.2")]
)
def test_invented_addresses_do_not_help(predictor_service: Service, trusted: str, forwarded: str) -> None:
    """
    A client that sends another `X-Forwarded-For` with each request is one client, with trusted proxies and without.
    """
    settings = {"RATE_LIMIT": "4/hour", "TRUSTED_PROXIES": trusted}
    with Redis() as redis, transformer(predictor_service.port, redis, **settings) as service:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            sent = [forwarded.format(number) for number in range(8)]
            over_rest = [verdict(ask(client, "a", **{"x-forwarded-for": value})) for value in sent[:4]]
            assert over_rest == [(200, "")] * 4
            assert verdict(ask(client, "a", **{"x-forwarded-for": sent[6]})) == RATE_LIMITED
            assert rpc_verdict(service, x_forwarded_for=sent[7])[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
            other = ask(client, "a", **{"x-forwarded-for": "198.51.100.8"})
        assert other.is_success == bool(trusted)
        assert "203.0.113" not in service.log.read_text()


def test_rate_limit_without_redis_is_one_clear_line() -> None:
    """
    A rate limit that nothing shared could count ends the start with one line that says so.
    """
    with pytest.raises(RuntimeError, match=r"error: RATE_LIMIT: .*REDIS_URL") as stopped:
        transformer(1, RATE_LIMIT="1/second").__enter__()
    assert "Traceback" not in str(stopped.value)
