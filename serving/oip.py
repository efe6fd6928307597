"""
The Open Inference Protocol's model routes, in place of KServe's own.

Upstream answers a wrong request with 422 or 500, refuses JSON by its Content-Type, and knows no versions
(KSERVE.md 11, 12, 16); the protocol wants a 4xx with `{"error": …}`.
"""

from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request
from kserve.errors import ModelNotReady
from kserve.protocol.infer_type import InferRequest, InferResponse
from kserve.protocol.rest.v2_datamodels import InferenceRequest, RequestInput
from pydantic import ValidationError
from starlette.responses import Response

from serving.body import BINARY_HEADER, load_json
from serving.dataplane import HonestDataPlane
from serving.errors import InvalidRequest

_MAX_DIGITS = 20
_MAX_TENSORS = 16


class _BinaryInput(RequestInput):
    data: list[Any] | None = None  # type: ignore[assignment]  # behind the JSON


class _BinaryRequest(InferenceRequest):
    inputs: list[_BinaryInput]  # type: ignore[assignment]


_Request = TypeVar("_Request", bound=InferenceRequest)


def router(dataplane: HonestDataPlane) -> APIRouter:
    """
    Infer, and metadata and readiness of a version; to be added before KServe's so that these are found first.
    """
    routes = APIRouter(prefix="/v2", tags=["V2"])

    @routes.get("/models/{model_name}/versions/{model_version}")
    async def version_metadata(model_name: str, model_version: str) -> dict[str, Any]:
        """
        Metadata of a model's version.
        """
        dataplane.check_version(model_name, model_version)
        return await dataplane.model_metadata(model_name)

    @routes.get("/models/{model_name}/versions/{model_version}/ready")
    async def version_ready(model_name: str, model_version: str) -> dict[str, Any]:
        """
        Whether a model's version can answer now.
        """
        dataplane.check_version(model_name, model_version)
        if not await dataplane.model_ready(model_name):
            raise ModelNotReady(model_name)
        return {"name": model_name, "ready": True}

    @routes.post("/models/{model_name}/infer", response_model=None, operation_id="infer")
    @routes.post(
        "/models/{model_name}/versions/{model_version}/infer", response_model=None, operation_id="infer_version"
    )
    async def infer(request: Request, model_name: str, model_version: str | None = None) -> Response:
        """
        Open Inference Protocol inference, JSON or binary.
        """
        if model_version is not None:
            dataplane.check_version(model_name, model_version)
        headers = dict(request.headers)
        dataplane.get_model_from_registry(model_name)
        question = decode(await request.body(), headers.get(BINARY_HEADER), model_name)
        answer, response_headers = await dataplane.infer(model_name=model_name, request=question, headers=headers)
        return _encode(answer, response_headers)

    return routes


def decode(body: bytes, json_length: str | None, model_name: str) -> InferRequest:
    """
    An OIP request from its bytes.

    Args:
        json_length: the binary extension's header, where the body has binary data behind its JSON.

    Raises:
        InvalidRequest: 400, not JSON, or not an inference request.
    """
    if json_length is not None:
        return _decode_binary(body, json_length, model_name)
    return InferRequest.from_inference_request(_validate(InferenceRequest, load_json(body)), model_name)


def _validate(model: type[_Request], payload: object) -> _Request:
    # before pydantic, which describes each of a million faults
    for name in ("inputs", "outputs"):
        tensors = payload.get(name) if isinstance(payload, dict) else None
        if isinstance(tensors, list) and len(tensors) > _MAX_TENSORS:
            raise InvalidRequest(f"'{name}' has more than {_MAX_TENSORS} tensors", location=(name,))
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        location = first["loc"]
        raise InvalidRequest(
            f"{'.'.join(map(str, location))}: {first['msg']}", location=location, kind=first["type"]
        ) from None


def _decode_binary(body: bytes, json_length: str, model_name: str) -> InferRequest:
    is_number = json_length.isascii() and json_length.isdecimal() and len(json_length) < _MAX_DIGITS
    if not is_number or int(json_length) > len(body):
        raise InvalidRequest(f"{BINARY_HEADER} must be the number of bytes of JSON at the body's start")
    _validate(_BinaryRequest, load_json(body[: int(json_length)]))
    try:
        return InferRequest.from_bytes(body, int(json_length), model_name)
    except Exception:  # noqa: BLE001  # upstream checks nothing here: KeyError, TypeError, struct.error and more, by the fault
        raise InvalidRequest("the body is not an inference request of the binary extension") from None


def _encode(answer: Any, headers: dict[str, str]) -> Response:
    if not isinstance(answer, InferResponse):
        return Response(orjson.dumps(answer), headers=headers, media_type="application/json")
    payload, json_length = answer.to_rest()
    if isinstance(payload, bytes):
        headers = {**headers, BINARY_HEADER: str(json_length)}
        return Response(payload, headers=headers, media_type="application/octet-stream")
    # null fields fail the official OIP schema (KSERVE.md 13)
    present = {name: value for name, value in payload.items() if value is not None}
    return Response(orjson.dumps(present), headers=headers, media_type="application/json")
