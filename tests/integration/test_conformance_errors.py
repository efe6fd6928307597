"""
The contract's table of errors, row by row, over REST and gRPC at once: what a client sees of a predictor's faults.
"""

import http.server
import json
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from conformance import MODEL
from processes import Service, transformer, until

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
NUMBERS = count()


def says(status: int, body: dict[str, Any]) -> Answer:
    """
    A predictor that answers this to everything.
    """

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        content = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def hangs_up(handler: http.server.BaseHTTPRequestHandler) -> None:
    """
    A predictor that closes the connection without a word.
    """
    handler.close_connection = True


class Faulty:
    """
    A predictor whose fault can be chosen.
    """

    def __init__(self) -> None:
        self.port = 0
        self.answer: Answer = hangs_up
        self.released = threading.Event()

    def never(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """
        Say nothing until the test is over.
        """
        self.released.wait()
        handler.close_connection = True


@pytest.fixture(scope="module")
def faulty() -> Iterator[Faulty]:
    """
    A predictor for all rows.
    """
    faulty = Faulty()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            faulty.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        faulty.port = server.server_port
        yield faulty
        faulty.released.set()
        server.shutdown()


@pytest.fixture(scope="module")
def victim(faulty: Faulty) -> Iterator[Service]:
    """
    The transformer in front of it.
    """
    with transformer(faulty.port) as service:
        yield service


def new_question() -> pb.ModelInferRequest:
    """
    A text that no test asked before.
    """
    text = f"never asked before {next(NUMBERS)}".encode()
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "contents": {"bytes_contents": [text]}}
    return pb.ModelInferRequest(model_name=MODEL, inputs=[tensor])


def refused(error_type: str, words: str = "no") -> dict[str, str]:
    """
    The body of a predictor's refusal.
    """
    return {"error": words, "error_type": error_type}


def check_refusal(service: Service, status: int, code: grpc.StatusCode, error_type: str, *, retry: bool) -> None:
    """
    Hold what clients get for a text that nobody asked before to a row of the table, over REST and gRPC.
    """
    rest = httpx.post(f"{service.url}/v1/models/{MODEL}:predict", json={"text": f"new {next(NUMBERS)}"}, timeout=60)
    assert (rest.status_code, rest.json()["error_type"]) == (status, error_type)
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel, pytest.raises(grpc.RpcError) as caught:
        GRPCInferenceServiceStub(channel).ModelInfer(new_question())
    error: Any = caught.value
    trailing = dict(error.trailing_metadata())
    assert (error.code(), trailing["error-type"], error.details()) == (code, error_type, rest.json()["error"])
    assert ("retry-after" in rest.headers, "retry-after" in trailing) == (retry, retry)
    assert [word for word in ("10.0.0.7", "127.0.0.1", "Traceback") if word in rest.text] == []


@pytest.mark.parametrize(
    ("answer", "status", "code", "error_type", "retry"),
    [
        (says(400, refused("validation")), 400, grpc.StatusCode.INVALID_ARGUMENT, "validation", False),
        (says(404, refused("not_found")), 404, grpc.StatusCode.NOT_FOUND, "not_found", False),
        (says(413, refused("too_large")), 413, grpc.StatusCode.RESOURCE_EXHAUSTED, "too_large", False),
        (says(429, refused("overloaded")), 429, grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded", True),
        (says(503, refused("unavailable")), 503, grpc.StatusCode.UNAVAILABLE, "unavailable", True),
        (hangs_up, 503, grpc.StatusCode.UNAVAILABLE, "unavailable", True),
        (says(200, {"outputs": []}), 502, grpc.StatusCode.INTERNAL, "upstream", False),
        (says(500, refused("internal", "at 10.0.0.7")), 502, grpc.StatusCode.INTERNAL, "upstream", False),
    ],
    ids=["400", "404", "413", "429", "503", "gone", "nonsense", "500"],
)
def test_faults_of_the_predictor(  # noqa: PLR0913, PLR0917  # a row of the table
    faulty: Faulty, victim: Service, answer: Answer, status: int, code: grpc.StatusCode, error_type: str, retry: bool
) -> None:
    """
    A fault of the predictor's has its row's status, code and word, says when to try again, and gives nothing away.
    """
    faulty.answer = answer
    check_refusal(victim, status, code, error_type, retry=retry)


def test_hung_predictor(faulty: Faulty) -> None:
    """
    A predictor that says nothing is 504, DEADLINE_EXCEEDED, once its time is up.
    """
    faulty.answer = faulty.never
    with transformer(faulty.port, PREDICTOR_TIMEOUT_SECONDS="1") as service:
        check_refusal(service, 504, grpc.StatusCode.DEADLINE_EXCEEDED, "timeout", retry=False)


def test_draining_over_grpc(predictor_service: Service) -> None:
    """
    From SIGTERM on the process is unready over gRPC, in every call that tells, and calls that still come are answered.
    """
    with (
        transformer(predictor_service.port, DRAIN_SECONDS="60") as service,
        grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel,
    ):
        stub, health = GRPCInferenceServiceStub(channel), HealthStub(channel)
        assert health.Check(HealthCheckRequest()).status == HealthCheckResponse.SERVING
        service.signal(signal.SIGTERM)
        until(lambda: health.Check(HealthCheckRequest()).status == HealthCheckResponse.NOT_SERVING)
        assert not stub.ServerReady(pb.ServerReadyRequest()).ready
        assert not stub.ModelReady(pb.ModelReadyRequest(name=MODEL)).ready
        assert stub.ServerLive(pb.ServerLiveRequest()).live
        assert stub.ModelInfer(new_question()).outputs
