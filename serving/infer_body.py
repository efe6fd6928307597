"""
Requests and answers of the Open Inference Protocol as HTTP bodies: JSON, with the binary extension or without.

Upstream's reading answers a wrong body with 422, 500 or an exception of whatever line it tripped over (KSERVE.md 12).
"""

from typing import Annotated, Any, NotRequired

import orjson
from kserve.protocol.infer_type import InferInput, InferRequest, InferResponse, RequestedOutput
from pydantic import Field, StrictBool, StrictInt, TypeAdapter, ValidationError
from starlette.responses import Response
from typing_extensions import TypedDict

from serving import binary, texts
from serving.body import BINARY_HEADER, load_json
from serving.errors import InvalidRequest

MAX_TENSORS = 16
"""
Most inputs, and most requested outputs, of a request: refused before anything looks at each of a million.
"""

_FEW = Field(max_length=MAX_TENSORS, fail_fast=True)


class _InputParameters(TypedDict):
    binary_data_size: NotRequired[Annotated[StrictInt, Field(ge=0)]]


class _Input(TypedDict):
    name: str
    shape: Annotated[list[StrictInt], Field(fail_fast=True)]
    datatype: str
    parameters: NotRequired[_InputParameters | None]
    data: NotRequired[list[Any] | None]


class _OutputParameters(TypedDict):
    binary_data: NotRequired[StrictBool]


class _Output(TypedDict):
    name: str
    parameters: NotRequired[_OutputParameters | None]


class _RequestParameters(TypedDict):
    binary_data_output: NotRequired[StrictBool]


class _Message(TypedDict):
    id: NotRequired[str | None]
    parameters: NotRequired[_RequestParameters | None]
    inputs: Annotated[list[_Input], _FEW]
    outputs: NotRequired[Annotated[list[_Output], _FEW] | None]


_MESSAGE = TypeAdapter(_Message)


def decode(body: bytes, json_length: str | None, model_name: str, model_version: str | None = None) -> InferRequest:
    """
    An OIP request from its bytes.

    Args:
        json_length: the binary extension's header, where the body has binary data behind its JSON.

    Raises:
        InvalidRequest: 400, not JSON, or not an inference request.
    """
    json, tail = binary.split(body, json_length)
    message = _validate(load_json(json))
    binary_data = (message.get("parameters") or {}).get("binary_data_output", False)
    question = InferRequest(
        model_name,
        [_tensor(sent, tail) for sent in message["inputs"]],
        request_id=message.get("id"),
        parameters={"binary_data_output": binary_data},
        request_outputs=[_requested(sent, binary_data) for sent in message.get("outputs") or ()] or None,
        model_version=model_version,
    )
    tail.end()
    return question


def _validate(payload: object) -> _Message:
    try:
        return _MESSAGE.validate_python(texts.json_object(payload))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        location = first["loc"]
        raise InvalidRequest(
            f"{'.'.join(map(str, location))}: {first['msg']}", location=location, kind=first["type"]
        ) from None


def _tensor(sent: _Input, tail: binary.Tail) -> InferInput:
    data: Any = sent.get("data")
    tensor = input_tensor(sent["name"], sent["shape"], sent["datatype"], data)
    size = (sent.get("parameters") or {}).get("binary_data_size")
    if (size is None) == (data is None):
        raise InvalidRequest(
            "each input must have either 'data' or 'binary_data_size'", location=("inputs",), kind="missing"
        )
    if size is not None:
        tensor._raw_data = tail.take(size)  # type: ignore[assignment]  # noqa: SLF001  # no constructor takes it
    return tensor


def input_tensor(name: str, shape: list[int], datatype: str, data: Any) -> InferInput:
    """
    An input as it was sent; upstream takes a datatype in lower case for the protocol's.
    """
    tensor = InferInput(name, shape, datatype, data=data)
    tensor._datatype = datatype  # noqa: SLF001
    return tensor


def _requested(sent: _Output, binary_data: bool) -> RequestedOutput:  # noqa: FBT001  # named like the parameter
    # upstream forgets the request's own wish for an output that has none
    return RequestedOutput(sent["name"], {"binary_data": binary_data, **(sent.get("parameters") or {})})


def encode(answer: InferResponse, headers: dict[str, str]) -> Response:
    """
    The answer as JSON, with the outputs that were asked for in binary behind it.
    """
    payload, json_length = answer.to_rest()
    if isinstance(payload, bytes):
        headers = {**headers, BINARY_HEADER: str(json_length)}
        return Response(payload, headers=headers, media_type="application/octet-stream")
    # null fields fail the official OIP schema (KSERVE.md 13)
    present = {name: value for name, value in payload.items() if value is not None}
    return Response(orjson.dumps(present), headers=headers, media_type="application/json")
