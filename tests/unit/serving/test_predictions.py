import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferRequest, InferResponse
from kserve.protocol.infer_type import RequestedOutput

from serving import predictions
from serving.errors import InvalidRequest

LABELS = ("NEGATIVE", "POSITIVE", "gemischt ☯")
SCORES = st.floats(0, 1, width=32)
ROWS = st.lists(st.tuples(SCORES, SCORES, SCORES), max_size=6)


def _question(**wishes: Any) -> InferRequest:
    return InferRequest("m", [], **wishes)


def _answer(request: InferRequest, rows: Any) -> InferResponse:
    return predictions.to_infer(request, "m", revision="r1", labels=LABELS, rows=rows)


@given(st.dictionaries(st.text(), SCORES, max_size=8))
def test_pairs(scores: dict[str, float]) -> None:
    """
    Every label is there once with its own score, best first; equal scores keep the labels' order.
    """
    pairs = predictions.pairs(list(scores), list(scores.values()))
    expected = sorted(scores.items(), key=lambda item: item[1], reverse=True)
    assert pairs == [{"label": label, "score": score} for label, score in expected]


def test_pairs_mismatch() -> None:
    """
    A row of another length than the labels is no answer.
    """
    with pytest.raises(ValueError, match="zip"):
        predictions.pairs(["A", "B"], [1.0])


@given(ROWS)
def test_v1(rows: list[tuple[float, ...]]) -> None:
    """
    A v1 answer has a list of pairs per text, in the texts' order.
    """
    assert predictions.to_v1(LABELS, rows) == {"predictions": [predictions.pairs(LABELS, row) for row in rows]}


@given(ROWS)
def test_infer(rows: list[tuple[float, ...]]) -> None:
    """
    An OIP answer holds the scores row by row, shape (N, L), and each row's best label, shape (N); N may be 0.
    """
    payload, _ = _answer(_question(), rows).to_rest()
    scores, label = payload["outputs"]
    assert (scores["name"], scores["datatype"], scores["shape"]) == ("scores", "FP32", [len(rows), 3])
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "BYTES", [len(rows)])
    assert scores["data"] == [score for row in rows for score in row]
    assert label["data"] == [LABELS[row.index(max(row))] for row in rows]


@given(ROWS)
def test_infer_binary(rows: list[tuple[float, ...]]) -> None:
    """
    Asked for binary, the same numbers and labels come as bytes.
    """
    payload, json_length = _answer(_question(parameters={"binary_data_output": True}), rows).to_rest()
    assert isinstance(payload, bytes)
    scores, label = InferResponse.from_bytes(payload, json_length).outputs
    assert (list(scores.shape), list(label.shape)) == ([len(rows), 3], [len(rows)])
    assert scores.data == [score for row in rows for score in row]
    assert label.data == [LABELS[row.index(max(row))] for row in rows]


@given(ROWS)
def test_infer_grpc(rows: list[tuple[float, ...]]) -> None:
    """
    Over gRPC the same numbers and labels come.
    """
    scores, label = InferResponse.from_grpc(_answer(_question(from_grpc=True), rows).to_grpc()).outputs
    assert (scores.shape, label.shape) == ([len(rows), 3], [len(rows)])
    assert np.array_equal(scores.as_numpy(), np.array(rows, dtype=np.float32).reshape(-1, 3))
    assert [item.decode() for item in label.as_numpy()] == [LABELS[row.index(max(row))] for row in rows]


@pytest.mark.parametrize("wanted", [[], ["scores"], ["label", "scores"]])
def test_known_outputs(wanted: list[str]) -> None:
    """
    Each output may be requested, and none needs to be.
    """
    predictions.check_outputs(_question(request_outputs=[RequestedOutput(name) for name in wanted] or None))


@pytest.mark.parametrize("wanted", [["my secret"], ["scores", "my secret"], ["label", "label"], [""]])
def test_unknown_outputs(wanted: list[str]) -> None:
    """
    An output that there is not, or that is requested twice, is refused in words that repeat nothing that was sent.
    """
    with pytest.raises(InvalidRequest) as caught:
        predictions.check_outputs(_question(request_outputs=[RequestedOutput(name) for name in wanted]))
    assert "secret" not in caught.value.message


def test_parameters() -> None:
    """
    The revision, and the labels as a JSON array in the columns' order, go with every answer, the empty one too.
    """
    for rows in ([], [(0.1, 0.2, 0.7)]):
        payload, _ = _answer(_question(), rows).to_rest()
        assert payload["model_version"] == payload["parameters"]["revision"] == "r1"
        assert json.loads(payload["parameters"]["labels"]) == list(LABELS)


def test_id() -> None:
    """
    The request's id comes back; without one each answer gets one of its own.
    """
    assert _answer(_question(request_id="42"), []).id == "42"
    made = {_answer(_question(request_id=sent), []).id for sent in (None, "", None)}
    assert len(made - {None, ""}) == 3


@pytest.mark.parametrize("wanted", [["scores"], ["label"], ["label", "scores"]])
def test_requested_outputs(wanted: list[str]) -> None:
    """
    Over REST the requested outputs come, and in the requested order.
    """
    request = _question(request_outputs=[RequestedOutput(name) for name in wanted])
    payload, _ = _answer(request, [(0.1, 0.2, 0.7)]).to_rest()
    assert [output["name"] for output in payload["outputs"]] == wanted


@pytest.mark.parametrize("wanted", [["scores"], ["label"], ["label", "scores"]])
def test_requested_outputs_grpc(wanted: list[str]) -> None:
    """
    Over gRPC too (KSERVE.md 16).
    """
    request = _question(request_outputs=[RequestedOutput(name) for name in wanted], from_grpc=True)
    outputs = _answer(request, [(0.1, 0.2, 0.7)]).to_grpc().outputs
    assert [output.name for output in outputs] == wanted
