"""
The end of a gRPC server, without the loss of a call.

Told to stop, gRPC's core ends with CANCELLED every call that has come and was not handed to Python yet (grpc #41785),
and under load there always are some. So answers are held back for a moment before: who waits for one sends nothing
new, and what was sent is taken in meanwhile. Clients then learn of the stop before they get their answers, and send
elsewhere what comes next. Lost is only what is on its way at the very moment of the stop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from grpc import aio

_QUIET_SECONDS = 0.25
_MOST_PAUSES = 4
Context = aio.ServicerContext[Any, Any]


class HeldAnswers(aio.ServerInterceptor):
    """
    Lets answers pass, refusals included, but while they are held.
    """

    def __init__(self) -> None:
        self._passing = asyncio.Event()
        self._passing.set()
        self._calls = 0

    @property
    def are_held(self) -> bool:
        """
        Whether they are held now.
        """
        return not self._passing.is_set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """
        Wrap the handler of one unary call.
        """
        self._calls += 1
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            partial(self._serve, handler), handler.request_deserializer, handler.response_serializer
        )

    async def hold(self) -> None:
        """
        Hold answers from now on; return once no call came for a while.

        At most a second: there are clients that wait for no answer before they send more.
        """
        self._passing.clear()
        calls = pauses = 0
        while calls < self._calls and pauses < _MOST_PAUSES:
            calls, pauses = self._calls, pauses + 1
            await asyncio.sleep(_QUIET_SECONDS)

    def release(self) -> None:
        """
        Let them pass again.
        """
        self._passing.set()

    async def _serve(self, handler: Any, request: Any, context: Context) -> Any:
        try:
            return await handler.unary_unary(request, context)
        finally:
            await self._passing.wait()


class GrpcServer:
    """
    gRPC's server, with an orderly stop.

    Args:
        server: bound, not started.
        answers: one of its interceptors.
    """

    def __init__(self, server: aio.Server, answers: HeldAnswers) -> None:
        self._server = server
        self._answers = answers

    async def start(self) -> None:
        """
        Serve.
        """
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """
        Close the listener, and return once every call is answered, or the grace period is over.
        """
        await self._answers.hold()
        stopping = asyncio.create_task(self._server.stop(grace_seconds))
        await asyncio.wait([stopping], timeout=_QUIET_SECONDS)  # clients are told
        self._answers.release()
        await stopping
