from http import HTTPStatus

import kserve.errors as kserve_errors
import orjson
import pytest
from fastapi.exceptions import RequestValidationError
from google.protobuf.message import DecodeError
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from serving import errors

SECRET = "redis://10.0.0.7:6379 said: my text"

CONTRACT = [
    (errors.InvalidRequest("m"), 400, "validation", StatusCode.INVALID_ARGUMENT),
    (errors.Forbidden("m"), 403, "forbidden", StatusCode.PERMISSION_DENIED),
    (errors.NotFound("m"), 404, "not_found", StatusCode.NOT_FOUND),
    (errors.MethodNotAllowed("m"), 405, "method", StatusCode.UNIMPLEMENTED),
    (errors.SlowRequest(20), 408, "slow", StatusCode.DEADLINE_EXCEEDED),
    (errors.TooLarge("m"), 413, "too_large", StatusCode.RESOURCE_EXHAUSTED),
    (errors.HeadTooLarge("m"), 431, "too_large", StatusCode.RESOURCE_EXHAUSTED),
    (errors.RateLimited("m", retry_after_seconds=7), 429, "rate_limited", StatusCode.RESOURCE_EXHAUSTED),
    (errors.Overloaded("m"), 429, "overloaded", StatusCode.RESOURCE_EXHAUSTED),
    (errors.InternalError("m"), 500, "internal", StatusCode.INTERNAL),
    (errors.UpstreamFault("m"), 502, "upstream", StatusCode.INTERNAL),
    (errors.Unavailable("m"), 503, "unavailable", StatusCode.UNAVAILABLE),
    (errors.UpstreamTimeout("m"), 504, "timeout", StatusCode.DEADLINE_EXCEEDED),
    (errors.UpstreamRefusal(413, "m", ""), 413, "too_large", StatusCode.RESOURCE_EXHAUSTED),
    (errors.UpstreamRefusal(429, "m", "rate"), 429, "rate", StatusCode.RESOURCE_EXHAUSTED),
    (DecodeError("m"), 400, "validation", StatusCode.INVALID_ARGUMENT),
    (kserve_errors.InvalidInput("m"), 400, "validation", StatusCode.INVALID_ARGUMENT),
    (kserve_errors.ModelNotFound("m"), 404, "not_found", StatusCode.NOT_FOUND),
    (kserve_errors.ModelNotReady("m"), 503, "unavailable", StatusCode.UNAVAILABLE),
    (kserve_errors.ServerNotReady(), 503, "unavailable", StatusCode.UNAVAILABLE),
    (kserve_errors.ServerNotLive(), 503, "unavailable", StatusCode.UNAVAILABLE),
    (
        RequestValidationError([{"loc": ("body",), "msg": "m", "type": "missing"}]),
        400,
        "validation",
        StatusCode.INVALID_ARGUMENT,
    ),
    (HTTPException(404), 404, "not_found", StatusCode.NOT_FOUND),
    (HTTPException(405), 405, "method", StatusCode.UNIMPLEMENTED),
    (HTTPException(500), 500, "internal", StatusCode.INTERNAL),
    (kserve_errors.InferenceError("m", status=500), 500, "internal", StatusCode.INTERNAL),  # its str() fails: KSERVE 24
    (RuntimeError("m"), 500, "internal", StatusCode.INTERNAL),
    (KeyError("m"), 500, "internal", StatusCode.INTERNAL),
]


@pytest.mark.parametrize(("raised", "status", "word", "code"), CONTRACT, ids=lambda value: type(value).__name__)
def test_contract(raised: Exception, status: int, word: str, code: StatusCode) -> None:
    """
    Every exception becomes the contract's status, word and gRPC code.
    """
    error = errors.translate(raised)
    response = errors.response(error, fastapi_style=False)
    body = orjson.loads(response.body)
    assert (response.status_code, body["error_type"], error.grpc_status) == (status, word, code)
    assert set(body) == {"error", "error_type"}
    assert body["error"]


@pytest.mark.parametrize(("raised", "status"), [case[:2] for case in CONTRACT], ids=lambda value: type(value).__name__)
def test_retry_after(raised: Exception, status: int) -> None:
    """
    429 and 503 say when to come back, in whole seconds, and no other error does.
    """
    headers = errors.response(errors.translate(raised), fastapi_style=False).headers
    assert headers.get("retry-after", "").isdecimal() == (status in (429, 503))


def test_retry_after_of_a_rate() -> None:
    """
    A client over its rate is told its own time to wait.
    """
    error = errors.RateLimited("m", retry_after_seconds=7)
    assert errors.response(error, fastapi_style=False).headers["retry-after"] == "7"


def test_slow_request_ends_its_connection() -> None:
    """
    A request that did not arrive in time leaves nothing that another could be read behind.
    """
    assert errors.response(errors.SlowRequest(20), fastapi_style=False).headers["connection"] == "close"


@pytest.mark.parametrize(
    "raised",
    [
        RuntimeError(SECRET),
        OSError(111, SECRET),
        kserve_errors.InferenceError(SECRET),
        kserve_errors.ModelNotReady("m", detail=SECRET),
        kserve_errors.ServerNotReady(SECRET),
        HTTPException(500, detail=SECRET),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
    ],
    ids=lambda raised: type(raised).__name__,
)
@pytest.mark.parametrize("fastapi_style", [False, True])
def test_no_leak(raised: Exception, fastapi_style: bool) -> None:
    """
    The words of an exception that was not meant for clients never reach one.
    """
    error = errors.translate(raised)
    response = errors.response(error, fastapi_style=fastapi_style)
    assert "10.0.0.7" not in error.message
    assert b"10.0.0.7" not in response.body


@pytest.mark.parametrize(("raised", "status"), [case[:2] for case in CONTRACT], ids=lambda value: type(value).__name__)
def test_fastapi_style(raised: Exception, status: int) -> None:
    """
    FastAPI-style routes get FastAPI's `detail` with every error, and 422 for an invalid request.
    """
    response = errors.response(errors.translate(raised), fastapi_style=True)
    body = orjson.loads(response.body)
    assert response.status_code == (422 if status == 400 else status)
    assert [set(item) for item in body["detail"]] == [{"loc", "msg", "type"}]
    assert body["detail"][0]["msg"] == body["error"]


def test_fastapi_location() -> None:
    """
    `detail` carries the place and pydantic's word of the fault.
    """
    error = errors.InvalidRequest("m", location=("body", "text", 3), kind="string_type")
    detail = orjson.loads(errors.response(error, fastapi_style=True).body)["detail"]
    assert detail == [{"loc": ["body", "text", 3], "msg": "m", "type": "string_type"}]


@given(st.integers(400, 499))
def test_upstream_refusal(status: int) -> None:
    """
    Whatever 4xx the upstream answers, registered or not, passes with its status and its words.
    """
    error = errors.translate(errors.UpstreamRefusal(status, "its words", "its_word"))
    response = errors.response(error, fastapi_style=False)
    assert response.status_code == status
    assert orjson.loads(response.body) == {"error": "its words", "error_type": "its_word"}


def test_validation_message() -> None:
    """
    A request that FastAPI refused is told where and what, and not what it sent.
    """
    raised = RequestValidationError(
        [{"loc": ("body", "text"), "msg": "Field required", "type": "missing", "input": SECRET}]
    )
    assert errors.translate(raised).message == "body.text: Field required"


def test_method_message() -> None:
    """
    A wrong method is told which one the route takes.
    """
    error = errors.translate(HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"}))
    assert "POST" in error.message
