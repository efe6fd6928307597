"""
KServe's v1: what text classification takes and answers in plain JSON.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from serving import errors
from serving.openapi.document import JSON, Operation

TAG = "KServe v1"
Texts = Annotated[list[str], Field(examples=[["I hate you.", "I love you."]])]
Score = Annotated[float, Field(ge=0, le=1, examples=[0.9841])]
Name = Annotated[str, Field(examples=["sentiment"])]


class Instance(TypedDict):
    """
    A text, as an object.
    """

    text: str


class Question(TypedDict, total=False):
    """
    Texts: either `text` or `instances`.
    """

    __pydantic_config__ = ConfigDict(  # type: ignore[misc]  # where pydantic looks for it
        json_schema_extra={"oneOf": [{"required": ["text"]}, {"required": ["instances"]}]}
    )
    text: str | Texts
    instances: list[str | Instance]


class LabelScore(TypedDict):
    """
    A label and its score.
    """

    label: Annotated[str, Field(examples=["POSITIVE"])]
    score: Score


_PREDICTIONS = [[{"label": "POSITIVE", "score": 0.9841}, {"label": "NEGATIVE", "score": 0.0159}]]


class Predictions(TypedDict):
    """
    A list for each text, in the texts' order: every label, best first.
    """

    predictions: Annotated[list[list[LabelScore]], Field(examples=[_PREDICTIONS])]


class ModelList(TypedDict):
    """
    The models of this server.
    """

    models: list[Name]


class ModelReady(TypedDict):
    """
    A model that can answer now.
    """

    name: Name
    ready: Literal[True]


def operations(prediction: Callable[..., Operation]) -> list[Operation]:
    """
    The routes below `/v1`.

    Args:
        prediction: what all predictions of the service share.
    """
    return [
        prediction(
            "/v1/models/{model_name}:predict",
            "predict",
            "Every label of each text",
            tag=TAG,
            takes={JSON: Question},
            examples={
                "texts": {"text": ["I hate you.", "I love you."]},
                "one text": {"text": "I love you."},
                "instances": {"instances": ["I hate you.", {"text": "I love you."}]},
                "no text": {"text": []},
            },
            answers={JSON: Predictions},
        ),
        Operation(
            "/v1/models/{model_name}:explain",
            "explain",
            "Closed: there are no explanations",
            tag=TAG,
            method="post",
            succeeds=False,
            errors=(errors.NotFound,),
        ),
        Operation("/v1/models", "v1_models", "The models", tag=TAG, answers={JSON: ModelList}),
        Operation(
            "/v1/models/{model_name}",
            "v1_ready",
            "Whether a model can answer now",
            tag=TAG,
            answers={JSON: ModelReady},
            errors=(errors.NotFound, errors.Unavailable),
        ),
    ]
