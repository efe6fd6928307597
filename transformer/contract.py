"""
The JSON contract: what each route takes, and the shape of its answer (CONTRACT: Transformer, REST).

Parsing decides the rendering, so that an answer is rendered the way its question was asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from kserve.protocol.infer_type import InferRequest

from serving import predictions, record, texts
from transformer.answers import Answer

Render = Callable[[Answer], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """
    Texts to answer, and how their answer is rendered.
    """

    texts: list[str]
    render: Render


def parse(payload: object, *, max_texts: int, model_name: str) -> Question:
    """
    The question of KServe's own routes: v1 JSON, or an OIP request.

    Raises:
        InvalidRequest: 400.
        TooLarge: 413, more than `max_texts`.
    """
    if isinstance(payload, InferRequest):
        predictions.check_outputs(payload)
        render = partial(_render_infer, request=payload, model_name=model_name)
        return Question(texts.from_infer(payload, max_texts=max_texts), render)
    return Question(texts.from_v1(payload, max_texts=max_texts), _render_predictions)


def parse_bulk(payload: object, *, max_texts: int) -> Question:
    """
    The question of `/project/bulk-predict`: `{"text": ["…", …]}` and nothing else.

    Raises:
        InvalidRequest: 422 on this route.
        TooLarge: 413, more than `max_texts`.
    """
    return Question(
        texts.strings(texts.field(payload, "text"), ("body", "text"), max_texts=max_texts), _render_predictions
    )


def parse_predict(payload: object, *, max_texts: int) -> Question:
    """
    The question of `/predict`: one text, answered with its top label, or a list as in `parse_bulk`.
    """
    text = texts.field(payload, "text")
    render = _render_sentiment if isinstance(text, str) else _render_predictions
    return Question(texts.string_or_strings(text, ("body", "text"), max_texts=max_texts), render)


def _render_predictions(answer: Answer) -> dict[str, object]:
    return predictions.to_v1(answer.revision.labels, answer.rows)


def _render_sentiment(answer: Answer) -> dict[str, object]:
    best = predictions.pairs(answer.revision.labels, answer.rows[0])[:1]
    return {"sentiment": best, "inference_time": round(record.current().elapsed_ms() / 1000, 6)}


def _render_infer(answer: Answer, *, request: InferRequest, model_name: str) -> Any:
    revision = answer.revision
    return predictions.to_infer(request, model_name, revision=revision.digest, labels=revision.labels, rows=answer.rows)
