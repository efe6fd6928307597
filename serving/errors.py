"""
Every error a client can get, and how it looks on the wire (CONTRACT: Errors).

    ServiceError
    ├── InvalidRequest     400 (422 on FastAPI-style routes)  INVALID_ARGUMENT
    ├── Forbidden          403                                PERMISSION_DENIED
    ├── NotFound           404                                NOT_FOUND
    ├── MethodNotAllowed   405                                UNIMPLEMENTED
    ├── SlowRequest        408                                DEADLINE_EXCEEDED
    ├── TooLarge           413                                RESOURCE_EXHAUSTED
    │   └── HeadTooLarge   431                                (REST only)
    ├── RateLimited        429 + Retry-After                  RESOURCE_EXHAUSTED
    ├── Overloaded         429 + Retry-After                  RESOURCE_EXHAUSTED
    ├── InternalError      500                                INTERNAL
    ├── UpstreamFault      502                                INTERNAL
    ├── Unavailable        503 + Retry-After                  UNAVAILABLE
    ├── UpstreamTimeout    504                                DEADLINE_EXCEEDED
    └── UpstreamRefusal    the upstream's own 4xx, passed on
"""

from http import HTTPStatus
from typing import ClassVar

import kserve.errors as kserve_errors
from fastapi.exceptions import RequestValidationError
from google.protobuf.message import DecodeError
from grpc import StatusCode
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

Location = tuple[str | int, ...]


class ServiceError(Exception):
    """
    An answer that is an error: a status, a word for programs and a sentence for people.

    Args:
        message: what is wrong and what would be right; never the text that was sent, a host or a path.
        location: where in the request, in FastAPI's form (`("body", "text", 3)`).
        kind: pydantic's word for the fault, for FastAPI-style clients.
    """

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    error_type: str = "internal"
    grpc_status: ClassVar[StatusCode] = StatusCode.INTERNAL
    retry_after_seconds: int | None = None

    def __init__(self, message: str, *, location: Location = ("body",), kind: str = "value_error") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.kind = kind


class InvalidRequest(ServiceError):
    """
    400: the request is not what the route takes.
    """

    status = HTTPStatus.BAD_REQUEST
    error_type = "validation"
    grpc_status = StatusCode.INVALID_ARGUMENT


class Forbidden(ServiceError):
    """
    403: the route is closed.
    """

    status = HTTPStatus.FORBIDDEN
    error_type = "forbidden"
    grpc_status = StatusCode.PERMISSION_DENIED


class NotFound(ServiceError):
    """
    404: no such route, model or version.
    """

    status = HTTPStatus.NOT_FOUND
    error_type = "not_found"
    grpc_status = StatusCode.NOT_FOUND


class MethodNotAllowed(ServiceError):
    """
    405: the route exists, for other methods.

    Args:
        allowed: those methods, as the `Allow` header lists them (RFC 9110, 15.5.6).
    """

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this route takes {allowed}")
        self.allowed = allowed

    status = HTTPStatus.METHOD_NOT_ALLOWED
    error_type = "method"
    grpc_status = StatusCode.UNIMPLEMENTED


class SlowRequest(ServiceError):
    """
    408: the request did not arrive whole in its time; the connection ends with the answer (RFC 9110, 15.5.9).

    Args:
        limit_seconds: that time.
    """

    def __init__(self, limit_seconds: float) -> None:
        super().__init__(
            f"the request did not arrive whole within {limit_seconds:g} s; send it faster, or a smaller one"
        )

    status = HTTPStatus.REQUEST_TIMEOUT
    error_type = "slow"
    grpc_status = StatusCode.DEADLINE_EXCEEDED


class TooLarge(ServiceError):
    """
    413: more bytes or more texts than the limit.
    """

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    error_type = "too_large"
    grpc_status = StatusCode.RESOURCE_EXHAUSTED


class HeadTooLarge(TooLarge):
    """
    431: more bytes or headers before the body, or bytes in trailers, than the limit.
    """

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class RateLimited(ServiceError):
    """
    429: this client comes more often than its rate allows.

    Args:
        retry_after_seconds: when it may come again.
    """

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    status = HTTPStatus.TOO_MANY_REQUESTS
    error_type = "rate_limited"
    grpc_status = StatusCode.RESOURCE_EXHAUSTED


class Overloaded(ServiceError):
    """
    429: there is no room for this request now.
    """

    status = HTTPStatus.TOO_MANY_REQUESTS
    error_type = "overloaded"
    grpc_status = StatusCode.RESOURCE_EXHAUSTED
    retry_after_seconds = 1


class InternalError(ServiceError):
    """
    500: a fault of ours; the log has the details, the client does not.
    """


class UpstreamFault(ServiceError):
    """
    502: the predictor answered something that is no answer.
    """

    status = HTTPStatus.BAD_GATEWAY
    error_type = "upstream"


class Unavailable(ServiceError):
    """
    503: starting, stopping, or the predictor cannot be reached.
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    error_type = "unavailable"
    grpc_status = StatusCode.UNAVAILABLE
    retry_after_seconds = 1


class UpstreamTimeout(ServiceError):
    """
    504: the predictor did not answer within the request's time.
    """

    status = HTTPStatus.GATEWAY_TIMEOUT
    error_type = "timeout"
    grpc_status = StatusCode.DEADLINE_EXCEEDED


_BY_STATUS: dict[int, type[ServiceError]] = {
    kind.status: kind
    for kind in (InvalidRequest, Forbidden, NotFound, MethodNotAllowed, SlowRequest, TooLarge, Overloaded)
}


class UpstreamRefusal(ServiceError):
    """
    The upstream's own 4xx, passed on with its status and its words.
    """

    def __init__(self, status: int, message: str, error_type: str) -> None:
        super().__init__(message)
        like = _BY_STATUS.get(status, InvalidRequest)
        self.status = status
        self.error_type = error_type or like.error_type
        self.grpc_status = like.grpc_status  # type: ignore[misc]  # one class for every status, fixed at birth
        self.retry_after_seconds = like.retry_after_seconds


def translate(error: Exception) -> ServiceError:  # noqa: PLR0911  # a table, a return a row
    """
    The error that a client may see for any exception: ours as it is, KServe's and Starlette's by their meaning.

    Returns:
        an `InternalError` without detail for whatever is not meant for clients.
    """
    match error:
        case ServiceError():
            return error
        case kserve_errors.InvalidInput():
            return InvalidRequest(str(error))
        case kserve_errors.ModelNotFound():
            return NotFound("no such model or version; GET /v2/models lists the models, /v2/models/<name> its versions")
        case kserve_errors.ModelNotReady() | kserve_errors.ServerNotReady() | kserve_errors.ServerNotLive():
            return Unavailable("not ready yet; try again shortly")
        case DecodeError():
            return InvalidRequest("the bytes are not the protobuf message that this method takes")
        case RequestValidationError():
            return InvalidRequest("; ".join(_sentence(item) for item in error.errors()))
        case HTTPException(status_code=404):
            return NotFound("no such route; /openapi.json has those that exist")
        case HTTPException(status_code=405):
            return MethodNotAllowed((error.headers or {}).get("Allow", ""))
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return UpstreamRefusal(status, str(error.detail), "")
        case _:
            return InternalError("a fault of this service; its log has the details under this request's x-request-id")


def _sentence(item: dict[str, object]) -> str:
    location = item["loc"] if isinstance(item["loc"], tuple) else ()
    return f"{'.'.join(map(str, location))}: {item['msg']}"


def response(error: ServiceError, *, fastapi_style: bool) -> JSONResponse:
    """
    The error as HTTP.

    Args:
        fastapi_style: for routes whose clients expect FastAPI's manners: 422 for an invalid request, and `detail`.
    """
    body: dict[str, object] = {"error": error.message, "error_type": error.error_type}
    status = error.status
    if fastapi_style:
        body["detail"] = [{"loc": list(error.location), "msg": error.message, "type": error.kind}]
        if isinstance(error, InvalidRequest):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
    headers = {} if error.retry_after_seconds is None else {"retry-after": str(error.retry_after_seconds)}
    if isinstance(error, SlowRequest):
        headers["connection"] = "close"
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allowed
    return JSONResponse(body, status_code=status, headers=headers)
