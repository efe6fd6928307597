"""
KServe's REST server: its routes behind our layers, our routes before its own, and no signal handlers.
"""

import socket
from collections.abc import Iterable, Sequence
from functools import partial

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving import errors, v1
from serving.access import AccessMiddleware
from serving.admission import Admission
from serving.body import BodyMiddleware
from serving.connection import BoundedHttp
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.observer import Observer
from serving.openapi import page
from serving.openapi.refusals import Json
from serving.rest_stop import RestUvicorn
from serving.routes import Routes
from serving.settings import ServingSettings


class RestServer(RESTServer):
    """
    Serves KServe's application on a bound socket until `close`.

    Args:
        settings: limits and times.
        dataplane: what the routes ask.
        repository: what the load and unload routes ask.
        admission: what may be at work at once.
        observer: hears of each request.
        document: the OpenAPI document of all routes.
        routers: our routes.
        fastapi_paths: paths whose clients expect FastAPI's error shape.
        drain: whether clients are asked to connect anew.
    """

    def __init__(  # noqa: PLR0913  # the parts of a server
        self,
        settings: ServingSettings,
        dataplane: HonestDataPlane,
        repository: ClosedRepository,
        admission: Admission,
        observer: Observer,
        *,
        document: Json,
        routers: Sequence[APIRouter],
        fastapi_paths: Iterable[str],
        drain: Drain,
    ) -> None:
        super().__init__(
            "kserve.model_server:app", dataplane, repository, http_port=0, grace_period=settings.grace_seconds
        )
        self.config.http = partial(  # type: ignore[assignment]  # annotated as a class
            BoundedHttp, receive_timeout_seconds=settings.receive_timeout_seconds, observer=observer
        )
        self.config.ws = "none"
        self.config.proxy_headers = False  # uvicorn believes whatever comes from loopback
        self._server = RestUvicorn(self.config)
        self._settings = settings
        self._admission = admission
        self._observer = observer
        self._document = document
        self._routers = [v1.router(dataplane), page.router(document["info"]["title"]), *routers]
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
        app.add_middleware(
            BodyMiddleware,
            max_bytes=self._settings.max_body_bytes,
            timeout_seconds=self._settings.receive_timeout_seconds,
            admission=self._admission,
        )
        app.add_middleware(
            AccessMiddleware,
            observer=self._observer,
            routes=Routes(self._document["paths"]),
            fastapi_paths=self._fastapi_paths,
            drain=self._drain,
        )

    def _register_endpoints(self, app: FastAPI) -> None:
        app.openapi = lambda: self._document  # type: ignore[method-assign]  # FastAPI's way to a document of one's own
        for router in self._routers:
            app.include_router(router)
        super()._register_endpoints(app)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        # Every exception travels to AccessMiddleware, which alone turns it into an answer (KServe #4247, #3396).
        for kind in (HTTPException, RequestValidationError):
            app.add_exception_handler(kind, _pass_on)


async def _pass_on(_request: Request, exc: Exception) -> Response:
    raise errors.translate(exc)
