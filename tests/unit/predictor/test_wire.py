import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput, InferRequest, InferResponse
from kserve.protocol.infer_type import RequestedOutput

from predictor import wire
from predictor.artifact import Artifact
from serving import infer_body
from serving.errors import InvalidRequest, TooLarge

TEXTS = st.lists(st.text(), max_size=6)


def _tensor(texts: list[str]) -> InferRequest:
    body = {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]}
    return infer_body.decode(orjson.dumps(body), None, "m")


def _answered(question: wire.Question) -> wire.Answer:
    share = np.linspace(0, 1, len(question.texts), dtype=np.float32)
    return wire.Answer(question, np.stack([share, 1 - share], axis=1))


@given(TEXTS)
def test_infer(artifact: Artifact, texts: list[str]) -> None:
    """
    Texts over the wire are the texts, and scores over the wire are the scores, bit by bit, with revision and labels.
    """
    question = wire.question_from(_tensor(texts), max_texts=6)
    assert question.texts == texts
    answer = _answered(question)
    response = wire.response_from(answer, artifact, "m")
    assert isinstance(response, InferResponse)
    received = InferResponse.from_rest(orjson.loads(orjson.dumps(response.to_rest()[0])))
    scores = np.array(received.outputs[0].data, dtype=np.float32).reshape(received.outputs[0].shape)
    assert np.array_equal(scores, answer.probabilities)
    assert received.parameters["revision"] == received.model_version == artifact.revision
    assert json.loads(received.parameters["labels"]) == list(artifact.labels)


@given(TEXTS, st.sampled_from(["text", "instances"]))
def test_v1(artifact: Artifact, texts: list[str], name: str) -> None:
    """
    A v1 question is answered in v1, with a list of every label per text.
    """
    answer = _answered(wire.question_from({name: texts}, max_texts=6))
    response = wire.response_from(answer, artifact, "m")
    assert isinstance(response, dict)
    scores = [
        {pair["label"]: pair["score"] for pair in row} for row in orjson.loads(orjson.dumps(response))["predictions"]
    ]
    assert [[row["NEGATIVE"], row["POSITIVE"]] for row in scores] == answer.probabilities.tolist()


@pytest.mark.parametrize("payload", [{"text": ["a"] * 3}, _tensor(["a"] * 3)], ids=["v1", "infer"])
def test_limit(payload: object) -> None:
    """
    The limit of texts holds for both protocols.
    """
    with pytest.raises(TooLarge):
        wire.question_from(payload, max_texts=2)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "text",
        InferRequest("m", [InferInput("x", [0], "BYTES", data=[])]),
        InferRequest("m", [InferInput("text", [0], "BYTES", data=[])], request_outputs=[RequestedOutput("x")]),
    ],
)
def test_wrong(payload: object) -> None:
    """
    What is no question in either protocol is refused.
    """
    with pytest.raises(InvalidRequest):
        wire.question_from(payload, max_texts=2)
