import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from processes import free_port
from serving import errors, record, rpc, rpc_unread
from serving.admission import Admission
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.observer import Observer
from serving.rpc import GrpcAccess
from serving.rpc_stop import GrpcServer
from serving.settings import ServingSettings
from transformer import hop_grpc
from transformer.settings import TransformerSettings

SERVICE = "/inference.GRPCInferenceService"
DETAILS: Any = SimpleNamespace(method=f"{SERVICE}/ModelInfer")


class Aborted(Exception):
    """
    What gRPC raises inside a handler that aborts.
    """


def deserialize(content: bytes) -> str:
    """
    As protobuf does.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(str(error)) from error


class Call:
    """
    A call's context: what the client sent and what it gets.
    """

    def __init__(self, **metadata: str) -> None:
        self.sent = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        self.status, self.words = grpc.StatusCode.OK, ""
        self.trailing: dict[str, str] = {}
        self.content = b"question"

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self.sent

    def peer(self) -> str:
        return "ipv4:10.0.0.9:1"

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.trailing.items())

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.trailing = dict(metadata)

    async def abort(self, status: grpc.StatusCode, words: str, metadata: Any = ()) -> None:
        self.status, self.words = status, words
        self.trailing |= dict(metadata)
        raise Aborted

    async def run(self, observer: Observer, raised: Exception | None = None) -> "Call":
        async def behave(request: str, context: Any) -> str:
            if raised:
                raise raised
            record.current().fields["texts"] = 3
            record.current().end_phase("parse")
            return f"answer to {request}"

        async def continuation(_details: object) -> Any:
            return grpc.unary_unary_rpc_method_handler(behave, deserialize)

        handler = await GrpcAccess(observer).intercept_service(continuation, DETAILS)
        try:
            self.answer = await handler.unary_unary(self.content, self)
        except Aborted:
            self.answer = None
        return self


async def test_answer(observer: Observer) -> None:
    """
    A call that succeeds gets its handler's answer.
    """
    assert (await Call().run(observer)).answer == "answer to question"


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (errors.InvalidRequest("m"), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.Overloaded("m"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.UpstreamTimeout("m"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.UpstreamRefusal(404, "m", ""), grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_error(observer: Observer, raised: errors.ServiceError, status: grpc.StatusCode) -> None:
    """
    An error ends the call with its code and its words.
    """
    call = await Call().run(observer, raised)
    assert (call.status, call.words) == (status, "m")


async def test_fault(observer: Observer) -> None:
    """
    A fault of ours is INTERNAL without its words; they are in the log under the call's id.
    """
    error = RuntimeError("at 10.0.0.7")
    with capture_logs() as lines:
        call = await Call(x_request_id="abc-1").run(observer, error)
    assert call.status == grpc.StatusCode.INTERNAL
    assert "10.0.0.7" not in call.words
    assert [(line["request_id"], line["exc_info"]) for line in lines if line["log_level"] == "error"] == [
        ("abc-1", error)
    ]


@pytest.mark.parametrize(
    ("raised", "described"),
    [
        (errors.TooLarge("m"), {"error-type": "too_large"}),
        (errors.Overloaded("m"), {"error-type": "overloaded", "retry-after": "1"}),
        (RuntimeError("m"), {"error-type": "internal"}),
    ],
    ids=["too large", "overloaded", "internal"],
)
async def test_error_type(observer: Observer, raised: Exception, described: dict[str, str]) -> None:
    """
    An error's type and when to try again come as trailing metadata: a code stands for several errors.
    """
    call = await Call(x_request_id="abc-1").run(observer, raised)
    assert call.trailing == {"x-request-id": "abc-1", **described}


async def test_no_message(observer: Observer) -> None:
    """
    Bytes that are no message are the client's fault, in words that do not repeat them.
    """
    call = Call()
    call.content = b"my secret \xff"
    await call.run(observer)
    assert call.status == grpc.StatusCode.INVALID_ARGUMENT
    assert "secret" not in call.words


@pytest.mark.parametrize(
    "raised", [None, errors.NotFound("m"), RuntimeError("m")], ids=lambda raised: type(raised).__name__
)
async def test_request_id(observer: Observer, raised: Exception | None) -> None:
    """
    A usable request id comes back as trailing metadata, with answers and errors alike.
    """
    assert (await Call(x_request_id="abc-1").run(observer, raised)).trailing["x-request-id"] == "abc-1"


@pytest.mark.parametrize("sent", [{}, {"x_request_id": "a b"}])
async def test_made_request_id(observer: Observer, sent: dict[str, str]) -> None:
    """
    A missing or unusable request id is replaced by one made here.
    """
    assert (await Call(**sent).run(observer, errors.NotFound("m"))).trailing["x-request-id"].isalnum()


@pytest.mark.parametrize(("raised", "status"), [(None, 200), (errors.NotFound("m"), 404)])
async def test_line(observer: Observer, raised: Exception | None, status: int) -> None:
    """
    Each call writes one line with its id, method and REST's status, and what its hooks noted or its error is.
    """
    with capture_logs() as lines:
        await Call(x_request_id="abc-1").run(observer, raised)
    (line,) = lines
    keys = ("request_id", "protocol", "route", "status", "client")
    assert [line[key] for key in keys] == ["abc-1", "grpc", DETAILS.method, status, "10.0.0.9"]
    assert (line.get("texts"), line.get("error_type")) == ((None, "not_found") if raised else (3, None))


@pytest.mark.parametrize(("raised", "status"), [(None, 200), (errors.NotFound("m"), 404)])
async def test_count(observer: Observer, registry: CollectorRegistry, raised: Exception | None, status: int) -> None:
    """
    Each call is counted once, under its method and REST's status.
    """
    await Call().run(observer, raised)
    labels = {"route": DETAILS.method, "protocol": "grpc", "status": str(status)}
    assert registry.get_sample_value("service_requests_total", labels) == 1


async def test_unknown_method(observer: Observer) -> None:
    """
    A method that does not exist is left to gRPC.
    """

    async def continuation(_details: object) -> None:
        return None

    assert await GrpcAccess(observer).intercept_service(continuation, DETAILS) is None


@contextlib.asynccontextmanager
async def served(dataplane: HonestDataPlane, observer: Observer) -> AsyncIterator[tuple[GrpcServer, aio.Channel]]:
    """
    A server that waits for a message for a second, and a client of it.
    """
    port = free_port()
    server = rpc.build(
        port,
        dataplane,
        ClosedRepository(dataplane.model_registry),
        admission=Admission(max_requests=9, max_body_bytes=1_000_000),
        observer=observer,
        settings=ServingSettings(receive_timeout_seconds=1),
    )
    await server.start()
    # without the probe it takes in 64 KiB that nobody reads, and no more
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.http2.bdp_probe", 0)]) as client:
        yield server, client
    await server.stop(0)


@pytest.fixture
async def channel(
    request: pytest.FixtureRequest, dataplane: HonestDataPlane, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[aio.Channel]:
    """
    A client of a server that lets connections live for a moment, and the calls on them for the parameter's seconds.
    """
    monkeypatch.setattr(rpc, "_CONNECTION_SECONDS", 0.05)
    monkeypatch.setattr(rpc, "_ANSWER_SECONDS", request.param)
    async with served(dataplane, observer) as (_, client):
        yield client


def infer(channel: aio.Channel, request_id: str, text: bytes = b"a", model: str = "m") -> Any:
    """
    A call whose answer has the same id, and is read when somebody iterates.
    """
    question = pb.ModelInferRequest(model_name=model, id=request_id)
    question.inputs.add(name="text", shape=[1], datatype="BYTES").contents.bytes_contents.append(text)
    return channel.unary_stream(f"{SERVICE}/ModelInfer")(question.SerializeToString())


@pytest.mark.parametrize("channel", [30], indirect=True)
@pytest.mark.parametrize("method", [f"{SERVICE}/ModelInfer", f"{SERVICE}/ServerLive", "/grpc.health.v1.Health/Check"])
async def test_silent_calls(channel: aio.Channel, method: str) -> None:
    """
    A call whose client says nothing is slow, whatever is called, and is told so.
    """
    call: Any = channel.stream_unary(method)()
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert dict(await call.trailing_metadata())["error-type"] == "slow"


@pytest.mark.parametrize("channel", [0], indirect=True)
async def test_unread_answers(channel: aio.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An answer that is not read counts against others until its connection ends, and no longer.
    """

    async def refused() -> bool:
        call = infer(channel, "")
        with contextlib.suppress(aio.AioRpcError):
            assert [answer async for answer in call]
        return await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    monkeypatch.setattr(rpc_unread, "_MAX_BYTES", 1)
    unread = []
    async with asyncio.timeout(60):
        while not await refused():
            unread.append(infer(channel, "i" * 200_000))
        while await refused():
            pass


async def test_held_answers(dataplane: HonestDataPlane, observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Answers that wait for the stop are not for their clients to read, and all are given out.
    """
    monkeypatch.setattr(rpc_unread, "_MAX_BYTES", 1)
    async with served(dataplane, observer) as (server, client):
        assert [answer async for answer in infer(client, "first")]
        stopping = asyncio.create_task(server.stop(60))
        await asyncio.sleep(0)
        calls = [infer(client, "i" * 200_000) for _ in range(9)]
        for call in calls:
            assert [answer async for answer in call]
        await stopping


@pytest.mark.parametrize("channel", [30], indirect=True)
async def test_end_of_a_connection(channel: aio.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No call is lost when its connection has had its time.
    """
    connections = set()

    def note(context: Any) -> str:
        connections.add(context.peer())
        return ""

    monkeypatch.setattr(rpc, "host_of", note)
    live: Any = GRPCInferenceServiceStub(channel).ServerLive
    while len(connections) < 5:
        answers = await asyncio.gather(*(live(pb.ServerLiveRequest()) for _ in range(20)))
        assert all(answer.live for answer in answers)


@pytest.mark.parametrize("model_name", ["m", "unknown"], ids=["answered", "refused"])
async def test_message_is_freed(dataplane: HonestDataPlane, observer: Observer, model_name: str) -> None:
    """
    A message is freed when its call ends, with the collector off.
    """
    text = b"a" * 1_000_000
    async with served(dataplane, observer) as (_, client):

        async def call() -> None:
            with contextlib.suppress(aio.AioRpcError):
                assert [answer async for answer in infer(client, "", text, model_name)]

        await call()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(5):
                await call()
            async with asyncio.timeout(60):
                while tracemalloc.get_traced_memory()[0] >= len(text):  # noqa: ASYNC110  # memory has no event
                    await asyncio.sleep(0.01)
        finally:
            tracemalloc.stop()
            gc.enable()


@pytest.mark.parametrize(("size", "refused"), [(900_000, None), (1_100_000, "overloaded")])
async def test_messages_are_bodies(
    dataplane: HonestDataPlane, observer: Observer, size: int, refused: str | None
) -> None:
    """
    A message counts among the bodies in memory, and is refused beyond their limit.
    """
    async with served(dataplane, observer) as (_, client):
        call = infer(client, "", b"a" * size)
        with contextlib.suppress(aio.AioRpcError):
            assert [answer async for answer in call]
        assert dict(await call.trailing_metadata()).get("error-type") == refused


@pytest.mark.parametrize("seconds", [1, 600, 1e9])
def test_work_of_any_length(seconds: float) -> None:
    """
    A connection outlives the longest work that the settings allow, begun at its very end.
    """
    settings = TransformerSettings(predictor_timeout_seconds=seconds)
    grace_ms = dict(rpc._options(settings))["grpc.max_connection_age_grace_ms"]
    assert grace_ms >= min(1000 * (settings.receive_timeout_seconds + seconds + 30), 2**31 - 1)
    assert grace_ms < 2**31


def test_keepalive_is_welcome() -> None:
    """
    The hop may ask as often as it does whether the predictor is still there, with room for a stall, and Go's clients.
    """
    least_ms = dict(rpc._options(ServingSettings()))["grpc.http2.min_ping_interval_without_data_ms"]
    assert 2 * least_ms <= min(10_000, dict(hop_grpc._OPTIONS)["grpc.keepalive_time_ms"])
