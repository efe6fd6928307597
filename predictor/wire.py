"""
The predictor's protocols: v1 JSON and OIP v2 in, the same out (CONTRACT: Predictor).
"""

from dataclasses import dataclass

import numpy as np
from kserve.protocol.infer_type import InferRequest, InferResponse
from numpy.typing import NDArray

from predictor.artifact import Artifact
from serving import predictions, texts


@dataclass(frozen=True, slots=True)
class Question:
    """
    Texts to classify, and the OIP request they came in (None for v1), whose wishes shape the response.
    """

    texts: list[str]
    infer: InferRequest | None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A question with its probabilities, float32 (N, L).
    """

    question: Question
    probabilities: NDArray[np.float32]


def question_from(payload: object, *, max_texts: int) -> Question:
    """
    The question of a v1 body or an OIP request.

    Raises:
        InvalidRequest: 400.
        TooLarge: 413, more than `max_texts`.
    """
    if isinstance(payload, InferRequest):
        predictions.check_outputs(payload)
        return Question(texts.from_infer(payload, max_texts=max_texts), payload)
    return Question(texts.from_v1(payload, max_texts=max_texts), None)


def response_from(answer: Answer, artifact: Artifact, model_name: str) -> dict[str, object] | InferResponse:
    """
    The answer in its question's protocol.
    """
    request, probabilities = answer.question.infer, answer.probabilities
    if request is None:
        return predictions.to_v1(artifact.labels, probabilities.tolist())
    return predictions.to_infer(
        request, model_name, revision=artifact.revision, labels=artifact.labels, rows=probabilities
    )
