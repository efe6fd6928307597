"""
The answer to what was refused before it was a request: as bytes, and heard of as every other.
"""

from contextvars import copy_context
from http import HTTPStatus

from starlette.datastructures import Headers

from serving import errors
from serving.observer import Observer
from serving.routes import UNKNOWN


def refusal(error: errors.ServiceError, headers: list[tuple[bytes, bytes]], client: str, observer: Observer) -> bytes:
    """
    An answer of HTTP/1.1, the connection's last.

    Args:
        headers: those of the request that are known.
        client: its address.
        observer: hears of it.
    """
    answer = errors.response(error, fastapi_style=False)
    answer.headers["connection"] = "close"
    # in a context of its own: the connection's other requests have other records
    answer.headers["x-request-id"] = copy_context().run(_observe, error, headers, client, observer)
    lines = [b"HTTP/1.1 %d %b" % (answer.status_code, HTTPStatus(answer.status_code).phrase.encode())]
    lines += [b"%b: %b" % header for header in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


def _observe(error: errors.ServiceError, headers: list[tuple[bytes, bytes]], client: str, observer: Observer) -> str:
    record = observer.begin(Headers(raw=headers), protocol="rest", route=UNKNOWN, client=client)
    record.fields.update(method="_OTHER", error_type=error.error_type)  # OpenTelemetry's word for what is no method
    observer.end(record, error.status)
    return record.request_id
