"""
The outermost layer of HTTP: request id, error shape, one log line a request, and no answer without a status.
"""

import asyncio

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import errors, record
from serving.drain import Drain
from serving.observer import Observer
from serving.record import CLIENT_LEFT
from serving.routes import Routes

_log = structlog.get_logger("access")
_MOST_LOGGED_PATH = 256


class AccessMiddleware:
    """
    Gives each HTTP request its record, its error shape and its log line.

    Args:
        observer: hears of each request.
        routes: all there are.
        fastapi_paths: paths whose clients expect FastAPI's error shape.
        drain: while draining, answers ask clients to connect anew, which brings them to another replica.
    """

    def __init__(
        self, app: ASGIApp, *, observer: Observer, routes: Routes, fastapi_paths: frozenset[str], drain: Drain
    ) -> None:
        self._app = app
        self._observer = observer
        self._routes = routes
        self._fastapi_paths = fastapi_paths
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one ASGI connection; whatever fails inside becomes an error answer (KServe #4247: no leaks).
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current = self._begin(scope)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = current.request_id
                if self._drain.draining:
                    headers["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            current.fields["error_type"] = "client_left"
        except asyncio.CancelledError:  # the grace period is over
            if status:
                raise
            error = errors.Unavailable("stopping; try again")
            await self.error_response(scope, error)(scope, receive, send_marked)
        except Exception as exc:
            if status:
                raise
            await self.error_response(scope, exc)(scope, receive, send_marked)
        finally:
            self._observer.end(current, status or CLIENT_LEFT)

    def error_response(self, scope: Scope, exc: Exception) -> JSONResponse:
        """
        The answer for an exception; faults of ours are logged with their traceback.
        """
        error = errors.translate(exc)
        current = record.current()
        current.fields["error_type"] = error.error_type
        if isinstance(error, errors.InternalError):
            _log.error("fault", request_id=current.request_id, exc_info=exc)
        return errors.response(error, fastapi_style=scope["path"] in self._fastapi_paths)

    def _begin(self, scope: Scope) -> record.Record:
        client = scope["client"][0] if scope.get("client") else ""
        route = self._routes.name(scope["path"])
        current = self._observer.begin(Headers(scope=scope), protocol="rest", route=route, client=client)
        current.fields.update(method=scope["method"], path=scope["path"][:_MOST_LOGGED_PATH])
        return current
