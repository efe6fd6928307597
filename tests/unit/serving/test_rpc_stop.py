import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import aio

from serving import rpc_stop
from serving.rpc_stop import GrpcServer, HeldAnswers

METHOD = "/a.Service/Method"


class Service(grpc.GenericRpcHandler):
    """
    Answers a question with itself, and aborts the question `no`.
    """

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, question: bytes, context: Any) -> bytes:
        if question == b"no":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no")
        return question


@pytest.fixture
def answers() -> HeldAnswers:
    """
    What holds the server's answers.
    """
    return HeldAnswers()


@pytest.fixture
async def target(answers: HeldAnswers) -> AsyncIterator[tuple[GrpcServer, str]]:
    """
    A server that serves, and its address.
    """
    server = aio.server(interceptors=[answers])
    server.add_generic_rpc_handlers((Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    stoppable = GrpcServer(server, answers)
    await stoppable.start()
    yield stoppable, f"127.0.0.1:{port}"
    await server.stop(0)


async def test_no_call_is_lost(target: tuple[GrpcServer, str]) -> None:
    """
    Calls that are on their way when the server stops are answered, though more than it takes in one by one.
    """
    server, address = target
    async with aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        await call(b"first")
        calls = [asyncio.ensure_future(call(b"%d" % number)) for number in range(200)]
        await asyncio.sleep(0)
        await server.stop(60)
        assert await asyncio.gather(*calls) == [b"%d" % number for number in range(200)]


async def test_held(answers: HeldAnswers, target: tuple[GrpcServer, str]) -> None:
    """
    While answers are held nobody gets one, and afterwards everybody does.
    """
    async with aio.insecure_channel(target[1]) as channel:
        call = channel.unary_unary(METHOD)
        await call(b"first")
        asked = asyncio.ensure_future(call(b"second"))
        await answers.hold()
        assert not asked.done()
        answers.release()
        assert await asked == b"second"


async def test_endless_calls(
    answers: HeldAnswers, target: tuple[GrpcServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Clients that go on sending, answered or not, do not keep a server from its stop.
    """
    monkeypatch.setattr(rpc_stop, "_QUIET_SECONDS", 0.01)
    async with aio.insecure_channel(target[1]) as channel:
        call = channel.unary_unary(METHOD)

        async def send_on() -> None:
            while True:
                call(b"more")
                await asyncio.sleep(0)

        await call(b"first")
        sending = asyncio.create_task(send_on())
        await answers.hold()
        sending.cancel()
        answers.release()
