"""
KServe's ModelServer with a life cycle fit for a cluster.

Upstream closes the listener the moment SIGTERM arrives, stops models under gRPC calls in flight, and drains HTTP
and gRPC one after the other (KSERVE.md 19); it also never uses the event loop it configures (18). So the server's
parts are upstream's, and their order is ours: bind → open → listen → SIGTERM → not ready → drain → close → stop.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Iterable, Sequence

import structlog
import uvloop
from fastapi import APIRouter
from kserve.model_server import ModelServer

from serving import oip, rpc, traces
from serving.access_log import AccessLog
from serving.admission import LARGEST_BODIES, Admission, RateLimit
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.memory import IdleTrim
from serving.metrics import RequestMetrics
from serving.model import ServedModel
from serving.observer import Observer
from serving.openapi.refusals import Json
from serving.rest import RestServer
from serving.rpc_stop import GrpcServer
from serving.settings import ServingSettings

_log = structlog.get_logger("server")

_UNREAD_MS = 30_000


class Server(ModelServer):
    """
    Serves models until SIGTERM or SIGINT.

    Args:
        service: what the names of its metrics begin with.
        settings: limits and times.
        http_port: port of REST; a taken one ends the process here.
        grpc_port: port of gRPC.
        rate_limit: closed when the server stops.
    """

    def __init__(
        self,
        service: str,
        settings: ServingSettings,
        *,
        http_port: int,
        grpc_port: int,
        rate_limit: RateLimit | None = None,
    ) -> None:
        super().__init__(http_port=http_port, grpc_port=grpc_port, workers=1, enable_latency_logging=False)
        self._listener = _bind(http_port)
        # as a container's first process, SIGTERM would be ignored until the event loop takes it over
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        self._settings = settings
        self._drain = Drain()
        self._rate_limit = rate_limit
        self._admission = Admission(
            max_requests=settings.max_requests_in_flight,
            max_body_bytes=LARGEST_BODIES * settings.max_body_bytes,
            rate_limit=rate_limit,
        )
        self._traces = traces.from_environment(service)
        self._metrics = RequestMetrics(service, self._admission)
        self._observer = Observer(self._metrics, AccessLog(), self._traces)
        self.dataplane: HonestDataPlane = HonestDataPlane(self.registered_models, self._drain)
        self.model_repository_extension: ClosedRepository = ClosedRepository(self.registered_models)

    def start(  # type: ignore[override]  # only models that can be awaited
        self,
        models: Sequence[ServedModel],
        *,
        document: Json,
        routers: Sequence[APIRouter] = (),
        fastapi_paths: Iterable[str] = (),
    ) -> None:
        """
        Serve the models; returns when the last accepted request is answered and everything is stopped.

        Args:
            models: opened before the listeners, closed after them.
            document: the OpenAPI document of all routes.
            routers: routes beside KServe's.
            fastapi_paths: paths among them whose clients expect FastAPI's error shape.
        """
        self._metrics.expect(document)
        rest = RestServer(
            self._settings,
            self.dataplane,
            self.model_repository_extension,
            self._admission,
            self._observer,
            document=document,
            routers=[oip.router(self.dataplane), *routers],
            fastapi_paths=fastapi_paths,
            drain=self._drain,
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run(models, rest))

    async def _run(self, models: Sequence[ServedModel], rest: RestServer) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        grpc_server = self._bind_grpc()
        async with contextlib.AsyncExitStack() as opened:
            if self._traces:
                opened.push_async_callback(asyncio.to_thread, self._traces.close)
            if self._rate_limit:
                opened.push_async_callback(self._rate_limit.close)
            for model in models:
                opened.push_async_callback(model.close)
                await model.open()
                self.register_model(model)
            # What is loaded stays: a full collection that walks it all serves nobody for 0.1 s.
            gc.freeze()
            await self._serve_until(stop, rest, grpc_server)

    async def _serve_until(self, stop: asyncio.Event, rest: RestServer, grpc_server: GrpcServer) -> None:
        trim = IdleTrim(lambda: (self._admission.admitted, self._admission.requests))
        trimming = asyncio.create_task(trim.run())
        serving = asyncio.create_task(rest.serve(self._listener))
        await grpc_server.start()
        _log.info("ready", http_port=self.http_port, grpc_port=self.grpc_port)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._drain.draining = True
        _log.info("draining", seconds=self._settings.drain_seconds)
        await asyncio.sleep(self._settings.drain_seconds)
        rest.close()
        await asyncio.gather(serving, grpc_server.stop(self._settings.grace_seconds))
        trimming.cancel()
        _log.info("stopped")

    def _bind_grpc(self) -> GrpcServer:
        try:
            return rpc.build(
                self.grpc_port,
                self.dataplane,
                self.model_repository_extension,
                admission=self._admission,
                observer=self._observer,
                settings=self._settings,
            )
        except OSError:
            sys.exit(f"error: cannot listen on port {self.grpc_port}; pass another --grpc_port")


def _bind(port: int) -> socket.socket:
    # Bound and not listening: a taken port is told before the model loads, and nobody connects before it has.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("0.0.0.0", port))  # noqa: S104  # a container's port
    except (OSError, OverflowError) as error:
        sys.exit(f"error: cannot listen on port {port} ({error}); pass another --http_port")
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # on Linux: whoever does not read its answer would else keep it, and its connection, for ever
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    # Until it listens, a second process that allows reuse could bind the same port; not while this one forbids it.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return listener
