"""
The error answers of the document, from the classes of `serving.errors`.
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from typing_extensions import TypedDict

from serving import errors
from serving.errors import ServiceError

Json = dict[str, Any]

_ERRORS: dict[type[ServiceError], tuple[str, str]] = {
    errors.InvalidRequest: ("Not JSON, a wrong or missing field, a wrong type or shape", "the field 'text' is missing"),
    errors.Forbidden: ("A closed route", "loading and unloading models is switched off"),
    errors.NotFound: ("No such model or version", "no such model or version; GET /v2/models lists the models"),
    errors.MethodNotAllowed: ("The route takes another method", "this route takes POST"),
    errors.SlowRequest: ("The body did not arrive in its time", "the request did not arrive whole within 10 s"),
    errors.TooLarge: ("A body or a number of texts over the limit", "4097 texts are more than the limit of 4096"),
    errors.HeadTooLarge: ("Headers over the limit", "the request's head is larger than 65536 bytes"),
    errors.Overloaded: ("No room for this request now", "the queue is full; try again"),
    errors.RateLimited: ("This client comes more often than its rate allows", "more than 100 per 1 second"),
    errors.InternalError: ("A fault of this service", "a fault of this service; its log has the details"),
    errors.UpstreamFault: ("The predictor answered nonsense", "the predictor's answer has no scores"),
    errors.Unavailable: ("Not ready, or the predictor cannot be reached", "not ready yet; try again shortly"),
    errors.UpstreamTimeout: ("The predictor was too slow", "the predictor took too long; send fewer texts"),
}
"""
When each is answered, and a sentence of its kind.
"""


class Error(TypedDict):
    """
    What is wrong and what would be right, for people, and one word for programs.
    """

    error: str
    error_type: str


class Fault(TypedDict):
    """
    Where in the request a fault is, in FastAPI's form.
    """

    loc: list[str | int]
    msg: str
    type: str


class DetailedError(Error):
    """
    An error with FastAPI's `detail`.
    """

    detail: list[Fault]


def header(description: str, example: str, *, required: bool = True, **schema: Any) -> Json:
    """
    A header of an answer; a required one is in every answer of its kind.
    """
    schema = {"type": "string", **schema}
    return {"description": description, "required": required, "schema": schema, "example": example}


REQUEST_ID = {"x-request-id": header("The client's own, or one made here; the log knows the request by it", "mine-1")}


def references(kinds: Iterable[type[ServiceError]], *, fastapi_style: bool) -> dict[str, Json]:
    """
    The responses of an operation that may fail so, by status.
    """
    keys = [_key(kind, fastapi_style=fastapi_style) for kind in kinds]
    return {str(status): {"$ref": f"#/components/responses/{schema.__name__}{status}"} for schema, status in keys}


def components() -> dict[str, Json]:
    """
    Every error answer, by the name that `references` refers to; errors of one status share one.
    """
    answers: dict[tuple[type, int], dict[type[ServiceError], None]] = {}
    for style in (False, True):
        for kind in _ERRORS:
            answers.setdefault(_key(kind, fastapi_style=style), {})[kind] = None
    return {f"{schema.__name__}{status}": _answer(schema, [*kinds]) for (schema, status), kinds in answers.items()}


def _key(kind: type[ServiceError], *, fastapi_style: bool) -> tuple[type, int]:
    if not fastapi_style or kind is errors.HeadTooLarge:  # which is answered before the path is known
        return Error, kind.status
    return DetailedError, HTTPStatus.UNPROCESSABLE_ENTITY if kind is errors.InvalidRequest else kind.status


def _answer(schema: type, kinds: Sequence[type[ServiceError]]) -> Json:
    words = {"error_type": {"enum": [kind.error_type for kind in kinds]}}
    content = {
        "schema": {"$ref": f"#/components/schemas/{schema.__name__}", "properties": words},
        "examples": {kind.error_type: {"value": _example(schema, kind)} for kind in kinds},
    }
    return {
        "description": ". Or: ".join(_ERRORS[kind][0] for kind in kinds),
        "headers": _headers(kinds[0]),
        "content": {"application/json": content},
    }


def _example(schema: type, kind: type[ServiceError]) -> Json:
    sentence = _ERRORS[kind][1]
    example: Json = {"error": sentence, "error_type": kind.error_type}
    if schema is DetailedError:
        example["detail"] = [{"loc": ["body"], "msg": sentence, "type": "value_error"}]
    return example


def _headers(kind: type[ServiceError]) -> Json:
    match kind.status:
        case HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:  # before the id is known
            return {}
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return {**REQUEST_ID, "allow": header("The methods that the route takes", "POST")}
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return {**REQUEST_ID, "retry-after": header("Seconds to wait before the next try", "1", pattern="^[0-9]+$")}
        case _:
            return REQUEST_ID
