"""
The wire between the services, as golden JSON that each side is held to alone.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictor import wire
from predictor.artifact import Artifact
from serving import infer_body, record, servicer
from transformer import client, contract, grpc_messages, hop_rest
from transformer.answers import Answer
from transformer.client import Classified
from transformer.revision import ModelRevision

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden").joinpath("wire.json").read_text())
REVISION = ModelRevision(GOLDEN["revision"], tuple(GOLDEN["labels"]))
ROWS = [tuple(row) for row in GOLDEN["rows"]]
ARTIFACT = Artifact(Path(), tuple(GOLDEN["labels"]), 512, GOLDEN["revision"], {})
ANSWER = Answer(REVISION, ROWS, hits=0)


def predictor_answer(question: wire.Question) -> Any:
    """
    What the predictor would answer, had it computed the golden rows.
    """
    probabilities = np.array(GOLDEN["rows"], dtype=np.float32)
    return wire.response_from(wire.Answer(question, probabilities), ARTIFACT, "sentiment")


def test_transformer_sends_the_golden_request() -> None:
    """
    The transformer asks the predictor exactly as the golden request says.
    """
    request = GOLDEN["request"]
    assert json.loads(hop_rest.question_of(GOLDEN["texts"], request["id"])) == request


def test_predictor_reads_the_golden_request() -> None:
    """
    The predictor finds in the golden request the texts that the transformer put there.
    """
    request = infer_body.decode(json.dumps(GOLDEN["request"]).encode(), None, "sentiment")
    assert wire.question_from(request, max_texts=10).texts == GOLDEN["texts"]


def test_predictor_sends_the_golden_response() -> None:
    """
    The predictor answers the golden request exactly as the golden response says.
    """
    request = infer_body.decode(json.dumps(GOLDEN["request"]).encode(), None, "sentiment")
    payload, _ = predictor_answer(wire.question_from(request, max_texts=10)).to_rest()
    assert payload == GOLDEN["response"]


def test_transformer_reads_the_golden_response() -> None:
    """
    The transformer finds in the golden response the rows and the revision that the predictor put there.
    """
    content = json.dumps(GOLDEN["response"]).encode()
    assert client._classified(hop_rest.reply_from(content, GOLDEN["request"]["id"]), len(ROWS)) == Classified(
        REVISION, ROWS
    )


def test_predictor_reads_the_golden_texts_over_grpc() -> None:
    """
    The predictor finds in the transformer's gRPC message the texts that the transformer put there.
    """
    message = grpc_messages.question_of(GOLDEN["texts"], "sentiment", "id")
    assert wire.question_from(servicer._question(message), max_texts=10).texts == GOLDEN["texts"]


@pytest.mark.parametrize("raw", [True, False])
def test_transformer_reads_the_golden_rows_over_grpc(*, raw: bool) -> None:
    """
    The transformer finds in the predictor's gRPC message the rows and the revision that the predictor put there.
    """
    question = wire.question_from(
        servicer._question(grpc_messages.question_of(GOLDEN["texts"], "sentiment", "id")), max_texts=10
    )
    message = servicer._message(predictor_answer(question), raw=raw)
    assert client._classified(grpc_messages.reply_from(message, "id"), len(ROWS)) == Classified(REVISION, ROWS)


@pytest.mark.parametrize(
    "body",
    [{"text": GOLDEN["texts"]}, {"instances": GOLDEN["texts"]}, {"instances": [{"text": t} for t in GOLDEN["texts"]]}],
)
def test_both_services_answer_v1_alike(body: dict[str, Any]) -> None:
    """
    Either service answers a v1 question, in each of its forms, with the golden predictions.
    """
    asked = wire.question_from(body, max_texts=10)
    question = contract.parse(body, max_texts=10, model_name="sentiment")
    assert asked.texts == question.texts == GOLDEN["texts"]
    assert predictor_answer(asked) == question.render(ANSWER) == GOLDEN["predictions"]


def test_both_services_answer_oip_alike() -> None:
    """
    Either service answers an OIP question with the same tensors and parameters.
    """
    body = json.dumps(GOLDEN["request"]).encode()
    theirs = predictor_answer(wire.question_from(infer_body.decode(body, None, "sentiment"), max_texts=10))
    ours = contract.parse(infer_body.decode(body, None, "sentiment"), max_texts=10, model_name="sentiment").render(
        ANSWER
    )
    assert theirs.to_rest() == ours.to_rest()


def test_older_routes_answer_in_their_own_shapes() -> None:
    """
    `/predict` answers one text with its top label and a time, and a list as `/project/bulk-predict` does.
    """
    record.begin(None)
    single = contract.parse_predict({"text": GOLDEN["texts"][0]}, max_texts=10).render(ANSWER)
    assert single["sentiment"] == GOLDEN["sentiment"]
    assert single["inference_time"] >= 0
    for parse in (contract.parse_predict, contract.parse_bulk):
        assert parse({"text": GOLDEN["texts"]}, max_texts=10).render(ANSWER) == GOLDEN["predictions"]
