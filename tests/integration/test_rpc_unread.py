"""
Clients of gRPC that do not read their answers, say nothing, or are very many.
"""

import asyncio
import contextlib
import json
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import psutil
import pytest
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from prometheus_client.parser import text_string_to_metric_families

import fake_predictor
from fake_predictor import FakePredictor
from processes import Service, transformer, until
from serving.connection import MAX_CONNECTIONS
from test_robustness import MEBIBYTE, resident_bytes

METHOD = "/inference.GRPCInferenceService/ModelInfer"
PROBE = "/inference.GRPCInferenceService/ServerLive"
TEXTS = 4096
LABEL_BYTES = 200
CALLS = 150  # with gRPC's copies their answers would be 240 MiB


def question(count: int) -> bytes:
    """
    One that is small, whatever its answer is.
    """
    request = pb.ModelInferRequest(model_name="sentiment", raw_input_contents=[b"\1\0\0\0a" * count])
    request.inputs.add(name="text", shape=[count], datatype="BYTES")
    return request.SerializeToString()


def channel(service: Service, name: str) -> grpc.Channel:
    """
    A connection of its own: gRPC shares one between channels of equal options.
    """
    # without the probe it takes in 64 KiB that nobody reads, and no more
    options = [("name", name), ("grpc.max_receive_message_length", -1), ("grpc.http2.bdp_probe", 0)]
    return grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}", options=options)


def calls_over(service: Service) -> float:
    """
    How many calls of inference have ended, as the service sees it.
    """
    families = text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.labels.get("route") == METHOD and "total" in sample.name)


def answers(client: grpc.Channel) -> bool:
    """
    Whether a client gets a large answer.
    """
    call: Any = client.unary_unary(METHOD).future(question(TEXTS))
    assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED), call.details()
    return call.code() is grpc.StatusCode.OK


def test_answers_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Answers that a client leaves unread take bounded memory; meanwhile others are answered, and afterwards it is, too.
    """
    monkeypatch.setattr(fake_predictor, "LABELS", json.dumps(["n" * LABEL_BYTES, "p" * LABEL_BYTES]))
    with (
        FakePredictor() as fake,
        transformer(fake.ports["v2"], LOG_LEVEL="warning") as service,
        channel(service, "unread") as unread,
        channel(service, "other") as other,
    ):
        assert answers(other)
        before, over = resident_bytes(service), calls_over(service)
        leave_unread: Any = unread.unary_stream(METHOD)  # reads when it is iterated
        calls = [leave_unread(question(TEXTS)) for _ in range(CALLS)]
        until(lambda: calls_over(service) == over + CALLS)
        until(lambda: resident_bytes(service) - before < 100 * MEBIBYTE)  # what it freed goes back when nobody asks
        assert answers(other)
        assert not answers(unread)
        for call in calls:
            call.cancel()
        until(lambda: answers(unread))


async def test_calls_that_say_nothing() -> None:
    """
    While one client holds a thousand silent calls of two kinds on four connections, another's inference is answered.
    """
    with FakePredictor() as fake, transformer(fake.ports["v2"], RECEIVE_TIMEOUT_SECONDS="600") as service:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    aio.insecure_channel(f"127.0.0.1:{service.grpc_port}", options=[("name", name)])
                )
                for name in ("other", "1", "2", "3", "4")
            ]
            held: list[Any] = [client.stream_unary(METHOD)() for client in clients[1:] for _ in range(125)]
            held += [client.stream_unary(PROBE)() for client in clients[1:] for _ in range(125)]
            ended = [asyncio.ensure_future(call.code()) for call in held]
            await asyncio.wait(ended, timeout=60, return_when=asyncio.FIRST_COMPLETED)  # there are too many by now
            ask: Any = clients[0].unary_unary(METHOD)
            for _ in range(20):
                await ask(question(1), timeout=60)
            codes = {end.result() for end in ended if end.done()}
            assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert not all(end.done() for end in ended)
            for call in held:
                call.cancel()
            await asyncio.wait(ended)


@pytest.fixture
def open_files() -> Iterator[int]:
    """
    How many files a service may have open in the test, a little more than one port's connections; all are ours to open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sys.platform != "linux" or 0 <= hard < 2 * MAX_CONNECTIONS:
        pytest.skip("needs Linux, and leave to open twice as many files as there may be connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MAX_CONNECTIONS), hard))
    yield MAX_CONNECTIONS + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections(open_files: int) -> None:
    """
    However many connect to gRPC's port, health over REST is answered.
    """
    with FakePredictor() as fake, transformer(fake.ports["v2"]) as service, contextlib.ExitStack() as stack:
        process = psutil.Process(service.popen.pid)
        process.rlimit(psutil.RLIMIT_NOFILE, (open_files, open_files))
        for _ in range(open_files):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.grpc_port), timeout=60))
        until(lambda: process.num_fds() >= MAX_CONNECTIONS)
        assert httpx.get(f"{service.url}/v2/health/live", timeout=60).is_success
