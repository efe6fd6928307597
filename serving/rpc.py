"""
The gRPC server: the protocol's service and the health service, with our errors, our log line and a port of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import grpc
import structlog
from grpc import aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server

from serving import errors, rpc_admission
from serving.admission import Admission
from serving.connection import MAX_CONNECTIONS
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.health import Health
from serving.observer import Observer
from serving.record import CLIENT_LEFT
from serving.rpc_peer import Context, headers_of, host_of
from serving.rpc_stop import GrpcServer, HeldAnswers
from serving.servicer import InferenceServicer
from serving.settings import ServingSettings

_log = structlog.get_logger("access")
_ENVELOPE_BYTES = 64 * 1024
# Calls of one connection; a client keeps further ones back.
_MAX_CALLS = 256
# Calls of all connections beyond those at work: probes, and those whose client is silent or does not read its answer.
_MAX_IDLE_CALLS = 1024
# The latter end with their connection: gRPC has no other end for a call whose answer is on its way (`abort` would keep
# the answer). After this time clients are told to open another connection, and calls then have time to arrive, to be
# worked on, and for their answers to be read.
_CONNECTION_SECONDS = 120
_ANSWER_SECONDS = 30
# How often clients may ask whether we are still there, while a call says nothing for long: the transformer's hop does
# each 30 s, Go's clients each 10 s at most. By default who asks more than each 5 minutes loses the connection.
_PING_SECONDS = 5
_ENDLESS_MS = 2**31 - 1


class GrpcAccess(aio.ServerInterceptor):
    """
    Gives each call its record, its status and its log line; upstream's mapping loses half of them (KSERVE.md 14).
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """
        Wrap the handler of one unary call; there are no others here, though the health service describes one.
        """
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return None
        # undeserialized: gRPC itself answers INTERNAL to bytes that are no message
        return grpc.unary_unary_rpc_method_handler(
            partial(self._serve, handler, handler_call_details.method), None, handler.response_serializer
        )

    async def _serve(self, handler: Any, method: str, content: Any, context: Context) -> Any:
        current = self._observer.begin(headers_of(context), protocol="grpc", route=method, client=host_of(context))
        context.set_trailing_metadata((("x-request-id", current.request_id),))
        status: int = HTTPStatus.OK
        try:
            return await handler.unary_unary(handler.request_deserializer(content), context)
        except asyncio.CancelledError:
            status = CLIENT_LEFT
            current.fields["error_type"] = "client_left"
            raise
        except Exception as exc:  # noqa: BLE001  # every exception has its status
            error = errors.translate(exc)
            status = error.status
            current.fields["error_type"] = error.error_type
            if isinstance(error, errors.InternalError):
                _log.error("fault", request_id=current.request_id, exc_info=exc)
            refusal = error.grpc_status, error.message, (*context.trailing_metadata(), *_metadata(error))
            del error
        finally:
            self._observer.end(current, status)
        # Not where the exception is at hand: gRPC keeps what this raises, and with it the question and the answer that
        # the exception's frames hold, until the next full collection.
        await context.abort(*refusal)
        return None


def _metadata(error: errors.ServiceError) -> list[tuple[str, str]]:
    # a code stands for several errors: RESOURCE_EXHAUSTED is either too large or overloaded
    described = [("error-type", error.error_type)]
    if error.retry_after_seconds is not None:
        described.append(("retry-after", str(error.retry_after_seconds)))
    return described


def build(  # noqa: PLR0913  # the parts of a server
    port: int,
    dataplane: HonestDataPlane,
    repository: ClosedRepository,
    *,
    admission: Admission,
    observer: Observer,
    settings: ServingSettings,
) -> GrpcServer:
    """
    A gRPC server that is bound and not started.

    Raises:
        OSError: the port is taken. gRPC's default would share it with another process and split the requests.
    """
    answers = HeldAnswers()
    server = aio.server(
        interceptors=rpc_admission.around(
            GrpcAccess(observer), answers, admission, timeout_seconds=settings.receive_timeout_seconds
        ),
        maximum_concurrent_rpcs=settings.max_requests_in_flight + _MAX_IDLE_CALLS,
        options=_options(settings),
    )
    add_GRPCInferenceServiceServicer_to_server(InferenceServicer(dataplane, repository), server)
    add_HealthServicer_to_server(Health(dataplane), server)
    try:
        server.add_insecure_port(f"[::]:{port}")
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return GrpcServer(server, answers)


def _options(settings: ServingSettings) -> list[tuple[str, int]]:
    call_seconds = settings.receive_timeout_seconds + settings.longest_work_seconds + _ANSWER_SECONDS
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", settings.max_body_bytes + _ENVELOPE_BYTES),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.max_concurrent_streams", _MAX_CALLS),
        # Its windows grow up to 32 MiB a call, and fill before anybody reads it; without, 64 KiB, until it is read.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_connection_age_ms", int(1000 * _CONNECTION_SECONDS)),
        ("grpc.max_connection_age_grace_ms", min(int(1000 * call_seconds), _ENDLESS_MS)),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000 * _PING_SECONDS),
    ]
