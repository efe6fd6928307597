"""
Every route that both services have.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from typing_extensions import TypedDict

from serving import errors
from serving.errors import ServiceError
from serving.openapi import metadata, v1, v2
from serving.openapi.document import JSON, Operation, request_header
from serving.openapi.refusals import Json, header

TAG = "Process"


class Alive(TypedDict):
    """
    A process that runs, in KServe's words.
    """

    status: Literal["alive"]


def prediction(
    *,
    parameters: Iterable[Json] = (),
    headers: Mapping[str, Json] = MappingProxyType({}),
    kinds: Iterable[type[ServiceError]] = (),
) -> Callable[..., Operation]:
    """
    What all predictions of a service share, for the rest to be added.

    Args:
        parameters: headers that it reads beside those that both services read.
        headers: of its answers, likewise.
        kinds: errors that it may answer, likewise.
    """
    return partial(
        Operation,
        method="post",
        parameters=[request_header("x-request-id", "Echoed, if it is at most 128 printable characters"), *parameters],
        headers={
            "x-model-revision": header("The revision that answered", "d8a44c11b3190f8d"),
            "server-timing": header("Milliseconds by phase (W3C Server Timing)", "parse;dur=0.1, model;dur=5.2"),
            **headers,
        },
        errors=[errors.NotFound, errors.Unavailable, *kinds],
    )


def operations(prediction: Callable[..., Operation]) -> list[Operation]:
    """
    The routes that both services have.

    Args:
        prediction: what all predictions of the service share.
    """
    return [*v1.operations(prediction), *v2.operations(prediction), *metadata.operations(), *_process()]


def _process() -> list[Operation]:
    metrics = {"text/plain": str, "application/openmetrics-text": str}
    return [
        Operation("/", "alive", "Whether the process runs", tag=TAG, answers={JSON: Alive}),
        Operation("/metrics", "metrics", "Prometheus", tag=TAG, answers=metrics),
        Operation("/openapi.json", "openapi", "This document", tag=TAG, answers={JSON: dict[str, Any]}),
        Operation("/openapi.json", "openapi_head", "Whether it is there", tag=TAG, method="head"),
        Operation("/docs", "docs", "This document as a page", tag=TAG, answers={"text/html": str}),
    ]
