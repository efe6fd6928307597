"""
From start to stop: readiness, SIGTERM, logs, and starts that cannot be.
"""

import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from processes import ROOT, Service, free_port, held_predictor, listens, metric, predictor, transformer, until
from test_predict import PREDICT


def infer(service: Service, text: bytes) -> Any:
    """
    Ask one text over gRPC.
    """
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        request = pb.ModelInferRequest(model_name="sentiment")
        request.inputs.add(name="text", shape=[1], datatype="BYTES").contents.bytes_contents.append(text)
        return GRPCInferenceServiceStub(channel).ModelInfer(request)


def count_lines(service: Service, error_type: str) -> int:
    """
    How many requests the service's log ends with this error type.
    """
    return service.log.read_text().count(f'"error_type": "{error_type}"')


def run(package: str, *flags: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """
    Run a service that must not start; what it said.
    """
    return subprocess.run(
        [sys.executable, "-m", package, "--http_port", str(free_port()), "--grpc_port", str(free_port()), *flags],
        cwd=ROOT,
        env={"PATH": "", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_draining_still_serves() -> None:
    """
    From SIGTERM to the end of the drain every readiness fails, and requests that still arrive are served.
    """
    with held_predictor() as (port, _, released), transformer(port, DRAIN_SECONDS="1") as service:
        released.set()
        service.signal(signal.SIGTERM)
        until(lambda: not service.ready())
        for path in ("/health", "/v2/models/sentiment/ready", "/v1/models/sentiment"):
            assert httpx.get(service.url + path).status_code == 503
        late = httpx.post(service.url + PREDICT, json={"text": ["late"]})
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        assert service.wait() == 0


def test_accepted_requests_outlive_the_listener() -> None:
    """
    A request that the predictor computes when SIGTERM comes is answered, over REST and gRPC, and the exit is 0.
    """
    with held_predictor() as (port, come, released), transformer(port) as service, ThreadPoolExecutor(2) as pool:
        over_rest = pool.submit(httpx.post, service.url + PREDICT, json={"text": ["a"]}, timeout=60)
        assert come.wait(60)
        come.clear()
        over_grpc = pool.submit(infer, service, b"b")
        assert come.wait(60)
        service.signal(signal.SIGTERM)
        until(lambda: not listens(service.port))
        released.set()
        assert over_rest.result().json()["predictions"][0][0] == {"label": "POSITIVE", "score": 0.75}
        assert [output.name for output in over_grpc.result().outputs] == ["scores", "label"]
        assert service.wait() == 0


def test_predictor_finishes_what_it_computes() -> None:
    """
    A request that is being computed when SIGTERM comes is answered whole, and the exit is 0 without a traceback.
    """
    texts = [f"text {index}" for index in range(500)]
    with predictor() as service, ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(httpx.post, service.url + PREDICT, json={"text": texts}, timeout=60)
        until(lambda: metric(service, "request_preprocess_seconds_count") == 1)
        service.signal(signal.SIGTERM)
        assert len(in_flight.result().json()["predictions"]) == len(texts)
        assert service.wait() == 0
        assert "Traceback" not in service.log.read_text()


def test_work_of_a_client_that_left_is_dropped() -> None:
    """
    When a client gives up, the work that waits for it is cancelled in both services, and the next client is served.
    """
    with predictor() as model, transformer(model.port) as service:
        texts = ["a long text of many words " * 90 + str(index) for index in range(1500)]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(service.url + PREDICT, json={"text": texts}, timeout=1)
        until(lambda: all(count_lines(process, "client_left") == 1 for process in (model, service)))
        assert httpx.post(service.url + PREDICT, json={"text": ["next"]}, timeout=10).is_success


def test_one_log_line_a_request_and_never_a_text(predictor_service: Service) -> None:
    """
    Each request writes one JSON line with its id, status and hits, and no part of a text is in the log.
    """
    with transformer(predictor_service.port) as service:
        for path, body in (
            (PREDICT, '{"text": ["a secret"]}'),
            (PREDICT, '{"text": [1, "a secret"]}'),
            ("/predict", "a secret"),
        ):
            httpx.post(service.url + path, content=body, headers={"x-request-id": "the-id"})
        httpx.get(f"{service.url}/v2/health/ready")
        log = service.log.read_text()
    requests = [line for line in map(json.loads, log.splitlines()) if line["message"] == "request"]
    assert [(line["request_id"], line["status"]) for line in requests] == [
        ("the-id", 200),
        ("the-id", 400),
        ("the-id", 422),
    ]
    assert requests[0]["texts"] == 1
    assert "secret" not in log


@pytest.mark.parametrize("flag", ["--http_port", "--grpc_port"])
@pytest.mark.parametrize(("package", "flags"), [("predictor", []), ("transformer", ["--predictor_host", "x"])])
def test_taken_port_is_one_clear_line(package: str, flags: list[str], flag: str) -> None:
    """
    A taken port ends the start with one line that names it.
    """
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104
        port = str(listener.getsockname()[1])
        result = run(package, *flags, flag, port)
    assert result.returncode != 0
    assert result.stderr.splitlines()[-1].startswith(f"error: cannot listen on port {port}")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("package", "env", "word"),
    [
        ("predictor", {"MODEL_DIR": "/nowhere"}, "MODEL_DIR"),
        ("predictor", {"MAX_BATCH_TOKENS": "0"}, "MAX_BATCH_TOKENS"),
        ("predictor", {"COMPUTE_THREADS": "100000"}, "COMPUTE_THREADS"),
        ("transformer", {"CACHE_TTL_SECONDS": "soon"}, "CACHE_TTL_SECONDS"),
        ("transformer", {"REDIS_URL": "localhost"}, "REDIS_URL"),
        ("transformer", {"REDIS_URL": "redis://localhost/0?max_connections=x"}, "REDIS_URL"),
        ("transformer", {"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
    ],
)
def test_impossible_setting_is_one_clear_line(package: str, env: dict[str, str], word: str) -> None:
    """
    An impossible setting ends the start with one line that names it.
    """
    flags = ["--predictor_host", "x"] if package == "transformer" else []
    result = run(package, *flags, **env)
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1
    assert word in result.stderr


def test_grpc_answers_and_keeps_its_models(transformer_service: Service) -> None:
    """
    Over gRPC a text is answered, a wrong request is INVALID_ARGUMENT, and nobody may unload the model.
    """
    with grpc.insecure_channel(f"127.0.0.1:{transformer_service.grpc_port}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(pb.ModelInferRequest(model_name="sentiment"))
        with pytest.raises(grpc.RpcError) as closed:
            stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="sentiment"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert closed.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert b"POSITIVE" in bytes(infer(transformer_service, b"I love it").SerializeToString())
