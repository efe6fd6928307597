"""
What every client of the Open Inference Protocol asks, and what is a right answer to it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MODEL = "sentiment"
TEXTS = ["I hate you.", "I love you."]
LABELS = ["NEGATIVE", "POSITIVE"]
SHAPES = [[2], [2, 1], [1, 2]]
OUTPUTS = [None, ["label"], ["label", "scores"]]
SHAPES_AND_OUTPUTS = list(zip(SHAPES, OUTPUTS, strict=True))
SECRET = "a secret that no error may repeat"


def array(texts: Sequence[str | bytes], shape: Sequence[int] | None = None) -> Any:
    """
    Texts as an array of bytes, as clients of the protocol hold them.
    """
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    return np.array(encoded, dtype=np.object_).reshape(shape or [len(texts)])


def raw(texts: Sequence[str | bytes]) -> bytes:
    """
    Texts as the protocol's raw BYTES: each as its length, little-endian, and its UTF-8.
    """
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def check_outputs(outputs: Mapping[str, Any], wanted: Sequence[str] | None = None) -> None:
    """
    Hold an answer's arrays to `TEXTS`: those wanted, in their order, each with the right shape, type and content.
    """
    assert list(outputs) == list(wanted or ["scores", "label"])
    label = [item.decode() if isinstance(item, bytes) else item for item in outputs["label"]]
    assert label == LABELS
    if "scores" in outputs:
        scores = outputs["scores"]
        assert (scores.dtype, scores.shape) == (np.float32, (2, 2))
        assert np.allclose(scores.sum(axis=1), 1)
        assert [LABELS[column] for column in scores.argmax(axis=1)] == LABELS


def check_envelope(name: str, version: str, parameters: Mapping[str, Any]) -> None:
    """
    Hold an answer's model, version and parameters to one another.
    """
    assert name == MODEL
    assert parameters["revision"] == version
    assert json.loads(parameters["labels"]) == LABELS


def check_metadata(server: Mapping[str, Any], model: Mapping[str, Any], version: str) -> None:
    """
    Hold metadata of the server and of the model to the contract.
    """
    assert server["extensions"] == ["binary_tensor_data"]
    assert (model["name"], model["versions"]) == (MODEL, [version])
    tensors = [
        (tensor["name"], tensor["datatype"], [int(size) for size in tensor["shape"]])
        for tensor in (*model["inputs"], *model["outputs"])
    ]
    assert tensors == [("text", "BYTES", [-1]), ("scores", "FP32", [-1, 2]), ("label", "BYTES", [-1])]
