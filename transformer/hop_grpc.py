"""
OIP v2 over gRPC.

One channel is one HTTP/2 connection: behind a plain Service it stays with one replica until that one goes, so several
replicas need a gateway in between (Knative's is one), which sends each call where it likes.
"""

import contextlib
import ssl
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import grpc
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from serving import record
from serving.errors import ServiceError, UpstreamRefusal
from transformer import hop
from transformer.grpc_messages import question_of, reply_from
from transformer.hop import Reply, Unreachable

_OPTIONS = [
    # What REST may carry, gRPC may: the limits are the services' own, on bodies and texts.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # From 1 s up to 120 s by default, in which a predictor that has come back would not be found.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # in spite of its name the longest wait for one connection
    ("grpc.min_reconnect_backoff_ms", int(hop.CONNECT_SECONDS * 1000)),
    # A peer that vanished without a word is noticed: sent data must be acknowledged within the second of these.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
]
# One more try to connect comes within this: `initial_reconnect_backoff_ms` and its jitter.
_RECONNECT_SECONDS = 0.25
_REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
}
# of gRPC itself, at either end, and of gateways
_ERRORS: dict[grpc.StatusCode, Callable[[], ServiceError]] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: hop.too_many,
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.CANCELLED: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: hop.too_slow,
    grpc.StatusCode.INTERNAL: hop.fault,
    grpc.StatusCode.UNKNOWN: hop.fault,
}


class GrpcHop:
    """
    Asks over gRPC; see `Hop`.

    Args:
        host: host[:port]; without a port that of the scheme, as in a URL.
        use_tls: whether over TLS.
        model_name: the model's name at the predictor.
    """

    def __init__(self, host: str, *, use_tls: bool, model_name: str) -> None:
        self._target = host if ":" in host else f"{host}:{443 if use_tls else 80}"
        self._use_tls = use_tls
        self._model_name = model_name

    async def ask(self, texts: list[str]) -> Reply:
        """
        See `Hop.ask`.
        """
        question_id = hop.new_id()
        try:
            response = await self._infer(question_of(texts, self._model_name, question_id))
        except aio.AioRpcError as error:
            hop.note(error.code().name, error.details())
            raise _error_of(error) from None
        return reply_from(response, question_id)

    async def close(self) -> None:
        """
        Disconnect.
        """
        await self._channel.close()

    @cached_property
    def _channel(self) -> aio.Channel:
        # made when first used, because it belongs to the event loop that runs then
        if self._use_tls:
            return aio.secure_channel(self._target, grpc.ssl_channel_credentials(_roots()), options=_OPTIONS)
        return aio.insecure_channel(self._target, options=_OPTIONS)

    @cached_property
    def _stub(self) -> GRPCInferenceServiceStub:
        return GRPCInferenceServiceStub(self._channel)

    async def _infer(self, question: pb.ModelInferRequest) -> pb.ModelInferResponse | None:
        try:
            return await self._call(question)
        except aio.AioRpcError as error:
            if not _is_unsent(error):
                raise
        # After a failure the channel pauses, and calls fail untried; one that waits for it sees its next try.
        with contextlib.suppress(aio.AioRpcError):
            await self._stub.ServerLive(pb.ServerLiveRequest(), wait_for_ready=True, timeout=_RECONNECT_SECONDS)
        return await self._call(question)

    async def _call(self, question: pb.ModelInferRequest) -> pb.ModelInferResponse | None:
        metadata = tuple(record.current().headers().items())
        response: pb.ModelInferResponse | None = await self._stub.ModelInfer(question, metadata=metadata)
        return response


def _roots() -> bytes | None:
    # Python's own, as over REST, so that SSL_CERT_FILE counts for both; gRPC's where Python has none
    path = ssl.get_default_verify_paths().cafile
    return Path(path).read_bytes() if path else None


def _is_unsent(error: aio.AioRpcError) -> bool:
    # the channel's own words for a call that found no connection to be sent on
    words = "failed to connect to all addresses"
    return error.code() is grpc.StatusCode.UNAVAILABLE and (error.details() or "").startswith(words)


def _error_of(error: aio.AioRpcError) -> ServiceError:
    # Only a service of ours says its error's type, and only words of ours are known to be fit for clients.
    error_type = str(dict(error.trailing_metadata() or ()).get("error-type", ""))
    words = error.details() or ""
    return _own(error.code(), words, error_type) if hop.is_word(error_type) else _of_others(error.code(), words)


def _own(code: grpc.StatusCode, words: str, error_type: str) -> ServiceError:
    status = _REFUSALS.get(code)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        status = 413 if error_type == "too_large" else 429
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and error_type == "slow":
        status = 408
    if status:
        return UpstreamRefusal(status, words, error_type)
    return hop.not_ready() if code is grpc.StatusCode.UNAVAILABLE else _of_others(code, words)


def _of_others(code: grpc.StatusCode, words: str) -> ServiceError:
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in words:  # the predictor's limit on messages
        return hop.too_large()
    return _ERRORS.get(code, partial(hop.between, code.name))()
