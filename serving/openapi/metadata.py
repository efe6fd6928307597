"""
The Open Inference Protocol's metadata and health.
"""

from functools import partial
from typing import Literal

from typing_extensions import TypedDict

from serving import errors
from serving.openapi.document import JSON, Operation
from serving.openapi.v1 import ModelList, ModelReady, Name
from serving.openapi.v2 import TAG, Revision


class TensorMetadata(TypedDict):
    """
    A tensor that a model takes or answers; -1 stands for any number.
    """

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(TypedDict):
    """
    What a model takes and answers, and the revision it can answer with now.
    """

    name: Name
    versions: list[Revision]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(TypedDict):
    """
    The server's software.
    """

    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    """
    A process that runs.
    """

    live: Literal[True]


class ServerReady(TypedDict):
    """
    A process that can take requests now.
    """

    ready: Literal[True]


_MODEL = "/v2/models/{model_name}"
_VERSION = f"{_MODEL}/versions/{{model_version}}"


def operations() -> list[Operation]:
    """
    The routes below `/v2` that are no inference.
    """
    return [*_metadata(), *_health(), *_closed()]


def _metadata() -> list[Operation]:
    of_model = partial(Operation, tag=TAG, answers={JSON: ModelMetadata}, errors=(errors.NotFound,))
    versioned = ("version_metadata", "version_ready", "infer_version")
    parameters = {"model_name": "$request.path.model_name", "model_version": "$response.body#/versions/0"}
    links = {name: {"operationId": name, "parameters": parameters} for name in versioned}
    return [
        Operation("/v2", "server_metadata", "The server's software", tag=TAG, answers={JSON: ServerMetadata}),
        Operation("/v2/models", "v2_models", "The models", tag=TAG, answers={JSON: ModelList}),
        of_model(_MODEL, "model_metadata", "What a model takes and answers", links=links),
        of_model(_VERSION, "version_metadata", "What a revision takes and answers"),
    ]


def _health() -> list[Operation]:
    of_model = partial(Operation, tag=TAG, answers={JSON: ModelReady}, errors=(errors.NotFound, errors.Unavailable))
    process = "Whether the process can take requests now"
    return [
        Operation("/v2/health/live", "live", "Whether the process runs", tag=TAG, answers={JSON: ServerLive}),
        Operation(
            "/v2/health/ready", "ready", process, tag=TAG, answers={JSON: ServerReady}, errors=(errors.Unavailable,)
        ),
        of_model(f"{_MODEL}/ready", "model_ready", "Whether a model can answer now"),
        of_model(f"{_VERSION}/ready", "version_ready", "Whether a revision can answer now"),
    ]


def _closed() -> list[Operation]:
    closed = partial(Operation, tag=TAG, method="post", succeeds=False, errors=(errors.Forbidden,))
    return [
        closed("/v2/repository/models/{model_name}/load", "load", "Closed: models are not loaded from outside"),
        closed("/v2/repository/models/{model_name}/unload", "unload", "Closed: models are not unloaded from outside"),
    ]
