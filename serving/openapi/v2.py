"""
The Open Inference Protocol's inference, for one input of texts.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, NonNegativeInt
from typing_extensions import TypedDict

from serving.body import BINARY_HEADER
from serving.openapi.document import JSON, Operation, request_header
from serving.openapi.refusals import header
from serving.openapi.v1 import Name, Score, Texts

TAG = "Open Inference Protocol"
BINARY = "application/octet-stream"
Revision = Annotated[str, Field(examples=["d8a44c11b3190f8d"])]


class TextTensor(TypedDict):
    """
    N texts, of shape `[N]`, `[N,1]` or `[1,N]`.
    """

    name: Literal["text"]
    shape: Annotated[list[NonNegativeInt], Field(min_length=1, max_length=2, examples=[[2]])]
    datatype: Literal["BYTES"]
    data: Texts | list[list[str]]


class OutputParameters(TypedDict):
    """
    Whether an output's data stands in binary behind the JSON.
    """

    binary_data: NotRequired[bool]


class RequestedOutput(TypedDict):
    """
    An output to answer, at most once; where none is requested, both are.
    """

    name: Literal["scores", "label"]
    parameters: NotRequired[OutputParameters]


class RequestParameters(TypedDict):
    """
    Whether the data of all outputs stands in binary behind the JSON.
    """

    binary_data_output: NotRequired[bool]


class InferenceRequest(TypedDict):
    """
    A request of the Open Inference Protocol.
    """

    inputs: Annotated[list[TextTensor], Field(min_length=1, max_length=1)]
    outputs: NotRequired[Annotated[list[RequestedOutput], Field(max_length=2)]]
    id: NotRequired[str]
    parameters: NotRequired[RequestParameters]


class ScoresTensor(TypedDict):
    """
    The score of each of N texts for each of L labels, row by row.
    """

    name: Literal["scores"]
    shape: Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2, examples=[[1, 2]])]
    datatype: Literal["FP32"]
    data: Annotated[list[Score], Field(examples=[[0.0159, 0.9841]])]


class LabelTensor(TypedDict):
    """
    The best label of each of N texts.
    """

    name: Literal["label"]
    shape: Annotated[list[NonNegativeInt], Field(min_length=1, max_length=1, examples=[[1]])]
    datatype: Literal["BYTES"]
    data: Annotated[list[str], Field(examples=[["POSITIVE"]])]


class AnswerParameters(TypedDict):
    """
    The model's revision, and the labels of the scores' columns as a JSON array.
    """

    revision: Revision
    labels: Annotated[str, Field(examples=['["NEGATIVE", "POSITIVE"]'])]


class InferenceResponse(TypedDict):
    """
    An answer of the Open Inference Protocol.
    """

    id: str
    model_name: Name
    model_version: Revision
    outputs: list[ScoresTensor | LabelTensor]
    parameters: AnswerParameters


_TEXTS = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["I hate you.", "I love you."]}
_EXAMPLES: Mapping[str, Any] = {
    "texts": {"inputs": [_TEXTS]},
    "best labels": {"id": "42", "inputs": [{**_TEXTS, "shape": [2, 1]}], "outputs": [{"name": "label"}]},
    "binary scores": {"inputs": [_TEXTS], "outputs": [{"name": "scores", "parameters": {"binary_data": True}}]},
}
_JSON_BYTES = request_header(
    BINARY_HEADER, "The number of bytes of JSON, where binary data follows it", type="integer", minimum=0
)


def operations(prediction: Callable[..., Operation]) -> list[Operation]:
    """
    The infer routes.

    Args:
        prediction: what all predictions of the service share.
    """
    infer = prediction(
        "/v2/models/{model_name}/infer",
        "infer",
        "Scores and best labels, as tensors",
        tag=TAG,
        takes={JSON: InferenceRequest, BINARY: bytes},
        examples=_EXAMPLES,
        answers={JSON: InferenceResponse, BINARY: bytes},
    )
    infer = replace(
        infer,
        parameters=[*infer.parameters, _JSON_BYTES],
        headers={**infer.headers, BINARY_HEADER: header("The number of bytes of JSON", "192", required=False)},
    )
    versioned = "/v2/models/{model_name}/versions/{model_version}/infer"
    return [infer, replace(infer, path=versioned, name="infer_version", summary=f"{infer.summary}, of one revision")]
