"""
Admission for gRPC: inference calls are refused, counted and waited for as REST's requests are.

gRPC reads a unary call's message, of any size within its limit and for as long as it takes, before any interceptor can
refuse it. On the wire a unary call is a stream of one message, so inference is served as one: its message is read here.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from grpc import aio

from serving import record
from serving.admission import Admission
from serving.errors import InvalidRequest, Overloaded, SlowRequest
from serving.rpc_peer import headers_of, host_of

# gRPC gathers a message without telling how much of it has come; together these may be 64 of the largest.
_MAX_READING = 64
# Answers that clients have not taken in, on one connection and on all; in memory gRPC's copy makes it twice as much.
_MAX_UNREAD_BYTES_EACH = 16 * 1024 * 1024
_MAX_UNREAD_BYTES = 64 * 1024 * 1024
_METHOD = "/inference.GRPCInferenceService/ModelInfer"
Context = aio.ServicerContext[Any, Any]


def around(
    access: aio.ServerInterceptor, admission: Admission, *, timeout_seconds: float
) -> tuple[aio.ServerInterceptor, ...]:
    """
    The interceptors that admit calls within `access`, which gives a refusal its record and its log line.

    Args:
        timeout_seconds: longest wait for a message.
    """
    return _Unread(), access, _Admit(admission, timeout_seconds)


class _Unread(aio.ServerInterceptor):
    """
    Hands an inference call on before its message is read.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler_call_details.method != _METHOD:
            return handler
        return grpc.stream_unary_rpc_method_handler(handler.unary_unary, None, handler.response_serializer)


class _Admit(aio.ServerInterceptor):
    """
    Reads the message of an inference call, once it is admitted, and accounts for the answer until that is written.
    """

    def __init__(self, admission: Admission, timeout_seconds: float) -> None:
        self._admission = admission
        self._timeout_seconds = timeout_seconds
        self._reading = asyncio.Semaphore(_MAX_READING)
        self._unread_bytes: Counter[str] = Counter()  # by connection

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler_call_details.method != _METHOD:
            return handler
        # what is deserialized here is a stream that nobody has read yet; what is answered is serialized
        return grpc.unary_unary_rpc_method_handler(partial(self._serve, handler), lambda stream: stream)

    async def _serve(self, handler: Any, stream: Any, context: Context) -> bytes:
        await self._admission.admit(headers_of(context), host_of(context))
        content = await self._read(stream)
        record.current().end_phase("receive")
        with self._admission.body() as hold:
            hold(len(content))
            with self._admission.place():
                answer = await handler.unary_unary(handler.request_deserializer(content), context)
        return self._until_written(handler.response_serializer(answer), context)

    def _until_written(self, answer: bytes, context: Context) -> bytes:
        unread, peer = self._unread_bytes, context.peer()
        if unread[peer] >= _MAX_UNREAD_BYTES_EACH or unread.total() >= _MAX_UNREAD_BYTES:
            raise Overloaded("too many answers wait to be read; read them, or try again shortly")
        unread[peer] += len(answer)
        context.add_done_callback(partial(self._written, peer, len(answer)))  # type: ignore[arg-type]  # a function will do
        return answer

    def _written(self, peer: str, count: int, _context: Context) -> None:
        self._unread_bytes[peer] -= count
        if not self._unread_bytes[peer]:
            del self._unread_bytes[peer]

    async def _read(self, stream: Any) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._reading:
                async for content in stream:
                    return bytes(content)
        except TimeoutError:
            raise SlowRequest(self._timeout_seconds) from None
        raise InvalidRequest("the call ended without a whole message")
