"""
Scores in the shapes that text-classification clients expect: label/score pairs, best first, or OIP tensors.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from kserve.protocol.infer_type import InferOutput, InferRequest, InferResponse
from numpy.typing import NDArray

from serving.errors import InvalidRequest
from serving.texts import INPUT_NAME

_OUTPUT_NAMES = {"scores", "label"}


def pairs(labels: Sequence[str], scores: Sequence[float]) -> list[dict[str, object]]:
    """
    Every label with its score, sorted by score; equal scores keep the labels' order (DESIGN law 1).
    """
    ranked = sorted(zip(scores, labels, strict=True), key=lambda pair: -pair[0])
    return [{"label": label, "score": score} for score, label in ranked]


def to_v1(labels: Sequence[str], rows: Iterable[Sequence[float]]) -> dict[str, object]:
    """
    KServe's v1 answer: a list of pairs per text, in the texts' order.
    """
    return {"predictions": [pairs(labels, row) for row in rows]}


def check_outputs(request: InferRequest) -> None:
    """
    Accept requested outputs that there are; to be asked before anything is computed.

    Raises:
        InvalidRequest: 400, there is no such output, or it is requested twice.
    """
    names = [output.name for output in request.request_outputs or ()]
    if not set(names) <= _OUTPUT_NAMES or len(set(names)) < len(names):
        raise InvalidRequest("the outputs are 'scores' and 'label', each at most once", location=("outputs",))


def to_infer(
    request: InferRequest,
    model_name: str,
    *,
    revision: str,
    labels: Sequence[str],
    rows: Sequence[Sequence[float]] | NDArray[np.float32],
) -> InferResponse:
    """
    The Open Inference Protocol's answer: `scores` FP32 (N, L) and `label` BYTES (N), the best one.

    Args:
        request: whose id and requested outputs are honoured; one that `check_outputs` lets pass.
        revision: the model's version, and the response parameter `revision`.
        labels: names of the scores' columns, L of them; the response parameter `labels`, as a JSON array.
        rows: N rows of L scores.
    """
    outputs = request.request_outputs or ()
    # no row at all has no width of its own
    scores = np.asarray(rows, dtype=np.float32) if len(rows) else np.empty((0, len(labels)), dtype=np.float32)
    names = np.array([label.encode() for label in labels], dtype=np.object_)
    best = names[scores.argmax(axis=1)]
    tensors = {
        "scores": InferOutput("scores", list(scores.shape), "FP32", data=scores),
        "label": InferOutput("label", list(best.shape), "BYTES", data=best),
    }
    # chosen here, since upstream forgets the requested outputs over gRPC (KSERVE.md 16)
    return InferResponse(
        response_id=request.id or uuid.uuid4().hex,
        model_name=model_name,
        model_version=revision,
        infer_outputs=[tensors[output.name] for output in outputs] or list(tensors.values()),
        parameters={"revision": revision, "labels": json.dumps(labels)},
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def tensor_metadata(columns: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    OIP metadata of the input and of the outputs of `to_infer`.

    Args:
        columns: L, or -1 while it is not known.
    """
    inputs: list[dict[str, Any]] = [{"name": INPUT_NAME, "datatype": "BYTES", "shape": [-1]}]
    scores: dict[str, Any] = {"name": "scores", "datatype": "FP32", "shape": [-1, columns]}
    return inputs, [scores, {"name": "label", "datatype": "BYTES", "shape": [-1]}]
