"""
Admission for gRPC: inference calls are refused, counted and waited for as REST's requests are.

gRPC reads a unary call's message, of any size within its limit and for as long as it takes, before any interceptor can
refuse it. On the wire a unary call is a stream of one message, so each is served as one: its message is read here.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from grpc import aio

from serving import record
from serving.admission import Admission
from serving.rpc_peer import Context, headers_of, host_of
from serving.rpc_reading import Readers
from serving.rpc_stop import HeldAnswers
from serving.rpc_unread import UnreadAnswers

_INFERENCE = "/inference.GRPCInferenceService/ModelInfer"


def around(
    access: aio.ServerInterceptor, answers: HeldAnswers, admission: Admission, *, timeout_seconds: float
) -> tuple[aio.ServerInterceptor, ...]:
    """
    The interceptors that admit calls within `access`, which gives a refusal its record and its log line.

    Args:
        answers: holds them at the stop.
        timeout_seconds: longest wait for a message.
    """
    return _AsStreams(), access, answers, _Admit(admission, answers, timeout_seconds)


class _AsStreams(aio.ServerInterceptor):
    """
    Hands a call on before its message is read.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        return handler and grpc.stream_unary_rpc_method_handler(handler.unary_unary, None, handler.response_serializer)


class _Admit(aio.ServerInterceptor):
    """
    Reads the message of a call, of inference once that is admitted, and accounts for what it holds.
    """

    def __init__(self, admission: Admission, answers: HeldAnswers, timeout_seconds: float) -> None:
        self._admission = admission
        self._answers = answers
        self._readers = Readers(timeout_seconds)
        self._unread = UnreadAnswers()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        serve = self._infer if handler_call_details.method == _INFERENCE else self._tell
        # what is deserialized here is a stream that nobody has read yet; what is answered is serialized
        return grpc.unary_unary_rpc_method_handler(partial(serve, handler), lambda stream: stream)

    async def _infer(self, handler: Any, stream: Any, context: Context) -> bytes:
        await self._admission.admit(headers_of(context), host_of(context))
        content = await self._readers.read(stream, context.peer())
        record.current().end_phase("receive")
        with self._admission.body() as hold:
            hold(len(content))
            with self._admission.place():
                answer = await _answer(handler, content, context)
        if not self._answers.are_held:  # those that wait for the stop are no client's fault
            self._unread.add(answer, context)
        return answer

    async def _tell(self, handler: Any, stream: Any, context: Context) -> bytes:
        return await _answer(handler, await self._readers.read(stream, context.peer()), context)


async def _answer(handler: Any, content: bytes, context: Context) -> bytes:
    answer = await handler.unary_unary(handler.request_deserializer(content), context)
    serialized: bytes = handler.response_serializer(answer)
    return serialized
