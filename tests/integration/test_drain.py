"""
SIGTERM under load: what was accepted is answered.

Accepted is a request whose connection opened before the listener closed; only who finds nobody listening was not.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import grpc
import httpx
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from processes import READY_SECONDS, Redis, Service, predictor, transformer, until
from test_predict import PREDICT, new_text

STOPS = 10
REST_CLIENTS, GRPC_CLIENTS = 16, 4
LONGEST_PAUSE_SECONDS = 0.05
POD_GRACE_SECONDS = 30
# nobody is to be refused for the load, however slow the machine is
PATIENT = {"MAX_WAIT_MS": "60000", "PREDICTOR_TIMEOUT_SECONDS": "60", "DRAIN_SECONDS": "0.3"}
TLS = httpx.create_ssl_context()  # costs more than a client's requests where each makes its own
Start = Callable[[], Service]


@dataclass
class Client:
    """
    What one client has seen.
    """

    answered: list[float] = field(default_factory=list)  # when each question was sent
    told_to_leave: bool = False
    failures: list[str] = field(default_factory=list)


def texts() -> list[str]:
    """
    Some that the cache knows and some that it cannot know.
    """
    return random.choices(["I love you.", "I hate you.", new_text()], k=random.choice([1, 1, 4]))


async def ask_over_rest(service: Service, client: Client) -> None:
    """
    Ask on a kept connection, or a new one where the last answer says so, until nobody listens.
    """
    async with httpx.AsyncClient(base_url=service.url, timeout=READY_SECONDS, verify=TLS) as http:
        while True:
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
            asked, sent = texts(), monotonic()
            try:
                answer = await http.post(PREDICT, json={"text": asked})
            except httpx.ConnectError:
                return
            except httpx.HTTPError as error:
                client.failures.append(repr(error))
                continue
            if answer.is_success and len(answer.json()["predictions"]) == len(asked):
                client.answered.append(sent)
                client.told_to_leave |= answer.headers.get("connection") == "close"
            else:
                client.failures.append(answer.text)


async def ask_over_grpc(service: Service, client: Client) -> None:
    """
    Ask on a channel, until nobody listens.
    """
    async with aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        while True:
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
            asked, sent = [text.encode() for text in texts()], monotonic()
            question = pb.ModelInferRequest(model_name="sentiment")
            tensor = question.inputs.add(name="text", shape=[len(asked)], datatype="BYTES")
            tensor.contents.bytes_contents.extend(asked)
            try:
                answer = await GRPCInferenceServiceStub(channel).ModelInfer(question, timeout=READY_SECONDS)
            except aio.AioRpcError as error:
                # the channel's own words for a call that found no connection to be sent on
                if error.code() is grpc.StatusCode.UNAVAILABLE and "failed to connect" in (error.details() or ""):
                    return
                client.failures.append(repr(error))
                continue
            if answer.outputs[1].shape == [len(asked)]:
                client.answered.append(sent)
            else:
                client.failures.append(str(answer))


@asynccontextmanager
async def clients_of(service: Service) -> AsyncIterator[tuple[list[Client], list[Client]]]:
    """
    Clients over REST and over gRPC, that have all been answered once; in the end they have all found nobody listening.
    """
    over_rest, over_grpc = [Client() for _ in range(REST_CLIENTS)], [Client() for _ in range(GRPC_CLIENTS)]
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
        for client in over_rest:
            group.create_task(ask_over_rest(service, client))
        for client in over_grpc:
            group.create_task(ask_over_grpc(service, client))
        everybody = (*over_rest, *over_grpc)
        await asyncio.to_thread(until, lambda: all(client.answered or client.failures for client in everybody))
        yield over_rest, over_grpc


@dataclass
class Seen:
    """
    What must have come to pass in some of the stops, for them to show anything.
    """

    told_to_leave: bool = False
    answered_since_over_rest: bool = False
    answered_since_over_grpc: bool = False


async def check_stop(service: Service, seen: Seen) -> None:
    """
    Stop a service under load, and hold what its clients saw to the law.
    """
    async with clients_of(service) as (over_rest, over_grpc):
        stopped = monotonic()
        service.signal(signal.SIGTERM)
    assert [failure for client in (*over_rest, *over_grpc) for failure in client.failures] == []
    assert service.popen.wait(POD_GRACE_SECONDS) == 0
    assert "Traceback" not in service.log.read_text()
    seen.told_to_leave |= any(client.told_to_leave for client in over_rest)
    seen.answered_since_over_rest |= any(sent > stopped for client in over_rest for sent in client.answered)
    seen.answered_since_over_grpc |= any(sent > stopped for client in over_grpc for sent in client.answered)


async def check_stops(start: Start) -> None:
    """
    Stop as many services, each started while the one before is used.
    """
    seen = Seen()
    with ExitStack() as running, ThreadPoolExecutor(1) as pool:
        starting = pool.submit(lambda: running.enter_context(start()))
        for left in reversed(range(STOPS)):
            service = await asyncio.wrap_future(starting)
            if left:
                starting = pool.submit(lambda: running.enter_context(start()))
            await check_stop(service, seen)
    assert seen == Seen(told_to_leave=True, answered_since_over_rest=True, answered_since_over_grpc=True)


async def test_transformer_answers_all_it_accepted() -> None:
    """
    Ten times: a transformer that is stopped under load, of hits and misses, fails no request that it accepted.
    """
    with predictor(**PATIENT) as model, Redis() as redis:
        await check_stops(lambda: transformer(model.port, redis, **PATIENT))


async def test_predictor_answers_all_it_accepted() -> None:
    """
    Ten times: a predictor that is stopped under load fails no request that it accepted.
    """
    await check_stops(lambda: predictor(**PATIENT))
