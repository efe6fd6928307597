"""
KServe's REST server: its routes behind our layers, our routes before its own, and no signal handlers.
"""

import contextlib
import socket
from collections.abc import Generator, Iterable, Sequence

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from kserve.protocol.rest.server import RESTServer, _RefreshingServer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving import errors
from serving.access import AccessMiddleware
from serving.body import BodyMiddleware
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.settings import ServingSettings


class RestServer(RESTServer):
    """
    Serves KServe's application on a bound socket until `close`.

    Args:
        settings: limits and times.
        dataplane: what the routes ask.
        repository: what the load and unload routes ask.
        routers: our routes.
        fastapi_paths: paths whose clients expect FastAPI's error shape.
        drain: whether clients are asked to connect anew.
    """

    def __init__(  # noqa: PLR0913  # the parts of a server
        self,
        settings: ServingSettings,
        dataplane: HonestDataPlane,
        repository: ClosedRepository,
        *,
        routers: Sequence[APIRouter],
        fastapi_paths: Iterable[str],
        drain: Drain,
    ) -> None:
        super().__init__(
            "kserve.model_server:app", dataplane, repository, http_port=0, grace_period=settings.grace_seconds
        )
        self._server = _QuietServer(self.config)
        self._settings = settings
        self._routers = [_v1_router(), *routers]
        self._fastapi_paths = frozenset(fastapi_paths)
        self._drain = drain

    async def serve(self, listener: socket.socket) -> None:
        """
        Accept connections until `close`, and answer those in flight.
        """
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so that a restart finds the port free
        self.create_application()  # type: ignore[no-untyped-call]
        await self._server.serve(sockets=[listener])

    def close(self) -> None:
        """
        Close the listener; `serve` returns once the requests in flight are answered.
        """
        self._server.should_exit = True

    def _add_middlewares(self, app: FastAPI) -> None:
        # Upstream's own layer logs two lines a request and walks every route to name it.
        app.add_middleware(BodyMiddleware, max_bytes=self._settings.max_body_bytes)
        app.add_middleware(AccessMiddleware, fastapi_paths=self._fastapi_paths, drain=self._drain)

    def _register_endpoints(self, app: FastAPI) -> None:
        for router in self._routers:
            app.include_router(router)
        super()._register_endpoints(app)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        # Every exception travels to AccessMiddleware, which alone turns it into an answer (KServe #4247, #3396).
        for kind in (HTTPException, RequestValidationError):
            app.add_exception_handler(kind, _pass_on)


class _QuietServer(_RefreshingServer):
    """
    Uvicorn without its signal handlers: SIGTERM is for our drain, not for the listener (KSERVE.md 19).
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _pass_on(_request: Request, exc: Exception) -> Response:
    raise errors.translate(exc)


def _v1_router() -> APIRouter:
    """
    What upstream's v1 routes get wrong.

    Other methods than POST reach a model named `<m>:predict`; `:explain` reads a missing attribute (KSERVE.md 23).
    """
    routes = APIRouter()
    others = ["GET", "HEAD", "PUT", "PATCH", "DELETE"]

    @routes.api_route("/v1/models/{_}:predict", methods=others, include_in_schema=False)
    async def wrong_method() -> None:
        raise errors.MethodNotAllowed("POST")

    @routes.api_route("/v1/models/{_}:explain", methods=["POST", *others], include_in_schema=False)
    async def no_explanations() -> None:
        raise errors.NotFound("this model gives no explanations; use :predict")

    return routes
