"""
The transformer's OpenAPI document: the protocol's routes with what the cache adds, and the older services' routes.
"""

from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from serving import errors
from serving.openapi import document, protocol
from serving.openapi.document import JSON, Operation, request_header
from serving.openapi.refusals import Json, header
from serving.openapi.v1 import LabelScore, Predictions, Texts
from transformer import routes

TAG = "Older services"
_DESCRIPTION = """\
Sentiment of texts: the score of each label, cached text by text.

JSON is accepted with any `Content-Type` or none, and with `Content-Encoding: gzip`. Fields that no schema names are
ignored. An empty list gets no predictions. Texts longer than the model's most tokens are cut at their end.
"""


class TextList(TypedDict):
    """
    Texts, as a list.
    """

    text: Texts


class TextOrList(TypedDict):
    """
    One text or a list.
    """

    text: str | Texts


class Sentiment(TypedDict):
    """
    The best label of one text, and the seconds it took.
    """

    sentiment: Annotated[list[LabelScore], Field(min_length=1, max_length=1)]
    inference_time: Annotated[float, Field(ge=0, examples=[0.0041])]


class Healthy(TypedDict):
    """
    A process that can take requests now.
    """

    status: Literal["healthy"]


_prediction = protocol.prediction(
    parameters=[request_header("cache-control", "`no-cache` asks for a fresh answer, which is then stored")],
    headers={
        "x-cache": header("Whether all texts were cached, none, or some", "hit", enum=["hit", "miss", "partial"]),
        "x-cache-hits": header("How many texts were cached", "7/10", pattern="^[0-9]+/[0-9]+$"),
    },
    kinds=[errors.UpstreamFault, errors.UpstreamTimeout],
)


def build(model_name: str) -> Json:
    """
    The document of a transformer that has a model of this name.
    """
    return document.build(
        title="Sentiment inference service",
        description=_DESCRIPTION,
        model_name=model_name,
        operations=[*protocol.operations(_prediction), *_older()],
    )


def _older() -> list[Operation]:
    predict = partial(_prediction, tag=TAG, fastapi_style=True)
    health = partial(
        Operation, summary="Whether the process can take requests now", tag=TAG, errors=(errors.Unavailable,)
    )
    texts = {"text": ["I hate you.", "I love you."]}
    return [
        predict(
            routes.PREDICT,
            "older_predict",
            "The best label of one text, or every label of each of a list",
            takes={JSON: TextOrList},
            examples={"one text": {"text": "I love you."}, "texts": texts},
            answers={JSON: Sentiment | Predictions},
        ),
        predict(
            routes.BULK_PREDICT,
            "bulk_predict",
            "Every label of each text",
            takes={JSON: TextList},
            examples={"texts": texts},
            answers={JSON: Predictions},
        ),
        health("/health", "health", answers={JSON: Healthy}),
        health("/health", "health_head", method="head"),
        health("/project/health", "project_health", answers={JSON: Healthy}),
        health("/project/health", "project_health_head", method="head"),
    ]
