"""
KServe's gRPC service on a server of ours: our errors, our log line, and a port of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from grpc import aio
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer

from serving import errors, record
from serving.dataplane import ClosedRepository, HonestDataPlane

_log = structlog.get_logger("access")
_ENVELOPE_BYTES = 64 * 1024


class GrpcAccess(aio.ServerInterceptor):
    """
    Gives each call its record, its status and its log line; upstream's mapping loses half of them (KSERVE.md 14).
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """
        Wrap the handler of one unary call.
        """
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = handler_call_details.method

        async def serve(request: Any, context: aio.ServicerContext[Any, Any]) -> Any:
            metadata = dict(context.invocation_metadata() or ())
            current = record.begin(str(metadata.get("x-request-id", "")))
            status = grpc.StatusCode.OK
            trailing = (("x-request-id", current.request_id),)
            try:
                response = await handler.unary_unary(request, context)
                # not before: KServe's servicer trips over trailing metadata that is there already
                context.set_trailing_metadata(trailing)
            except asyncio.CancelledError:
                status = grpc.StatusCode.CANCELLED
                raise
            except Exception as exc:  # noqa: BLE001  # every exception has its status
                error = errors.translate(exc)
                status = error.grpc_status
                if isinstance(error, errors.InternalError):
                    _log.error("fault", request_id=current.request_id, exc_info=exc)
                await context.abort(status, error.message, trailing)
            else:
                return response
            finally:
                quiet = status is grpc.StatusCode.OK and not method.endswith("/ModelInfer")
                (_log.debug if quiet else _log.info)(
                    "request",
                    request_id=current.request_id,
                    method=method,
                    status=status.name,
                    ms=round(current.elapsed_ms(), 3),
                    client=context.peer(),
                    **current.fields,
                )

        return grpc.unary_unary_rpc_method_handler(serve, handler.request_deserializer, handler.response_serializer)


def build(port: int, dataplane: HonestDataPlane, repository: ClosedRepository, *, max_body_bytes: int) -> aio.Server:
    """
    A gRPC server that is bound and not started.

    Raises:
        OSError: the port is taken. gRPC's default would share it with another process and split the requests.
    """
    limit = max_body_bytes + _ENVELOPE_BYTES
    server = aio.server(
        interceptors=(GrpcAccess(),),
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", limit),
        ],
    )
    add_GRPCInferenceServiceServicer_to_server(InferenceServicer(dataplane, repository), server)
    try:
        server.add_insecure_port(f"[::]:{port}")
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return server
