import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import UpstreamFault
from transformer.client import Classified

from .parts import (
    LABELS,
    Predictor,
    answer_json,
    answering,
    client_of,
    fault_of,
    json_values,
    rest_hop,
    revision_of,
    row_of,
)


@given(st.lists(st.text()))
async def test_rows_come_in_the_texts_order(texts: list[str]) -> None:
    """
    N texts arrive at the predictor as they are and their N rows come back in order, under the response's revision.
    """
    predictor = Predictor("r7")
    rows = [row_of("r7", text) for text in texts]
    client = predictor.client()
    assert await client.classify(texts, deadline=client.deadline()) == Classified(revision_of("r7"), rows)
    assert predictor.asked == [texts]


async def test_revision_is_that_of_an_answer_to_nothing() -> None:
    """
    The revision is learnt without a text.
    """
    predictor = Predictor("r7")
    assert await predictor.client().revision() == revision_of("r7")
    assert predictor.asked == [[]]


@given(json_values.map(orjson.dumps) | st.binary(), st.integers(0, 3))
async def test_junk_is_an_upstream_fault(content: bytes, count: int) -> None:
    """
    Any bytes and any JSON that is no answer, answered with 200, are a 502 and no other error.
    """
    assert isinstance(await fault_of(rest_hop(answering(200, content=content)), ["text"] * count), UpstreamFault)


WRONG_LABELS: list[object] = [list(LABELS), "", "A, B", "[]", '"AB"', "[1, 2]", '["A", null]', '{"A": 0, "B": 1}']
ANSWER = answer_json("r1", [(0.25, 0.75), (0.5, 0.5)])
SCORES = st.lists(st.sampled_from([0, 1, 0.25, 0.5, 0.75, -0.5, 1.5, 1e308]) | json_values, max_size=6)


@given(
    st.fixed_dictionaries({"name": st.just("scores") | json_values, "data": SCORES | json_values}),
    st.fixed_dictionaries(
        {
            "revision": st.just("r1") | json_values,
            "labels": st.sampled_from(['["A", "B"]', '["A"]', *WRONG_LABELS]) | json_values,
        }
    ),
    st.integers(0, 3),
)
async def test_near_answer_is_an_answer_or_a_fault(
    tensor: dict[str, Any], parameters: dict[str, Any], count: int
) -> None:
    """
    What looks like an answer is refused with 502, or has a revision and N rows that are distributions over L labels.
    """
    client = client_of(answering(200, content=orjson.dumps({"outputs": [tensor], "parameters": parameters})))
    try:
        classified = await client.classify(["text"] * count, deadline=client.deadline())
    except UpstreamFault:
        return
    assert isinstance(classified.revision.digest, str)
    assert all(isinstance(label, str) for label in classified.revision.labels)
    assert [len(row) for row in classified.rows] == [len(classified.revision.labels)] * count
    assert all(0 <= score <= 1 for row in classified.rows for score in row)
    assert [sum(row) for row in classified.rows] == pytest.approx([1] * count, abs=1e-3)


def with_scores(scores: list[object]) -> dict[str, Any]:
    """
    An answer with other scores than two rows of two.
    """
    return {**ANSWER, "outputs": [{**ANSWER["outputs"][0], "data": scores}]}


@pytest.mark.parametrize(
    "answer",
    [
        with_scores([0.25, 0.75]),
        with_scores([0.25, 0.75, 0.5, 0.5, 0.5]),
        with_scores([0.25, 0.75, 0.5, 0.5, 0.5, 0.5]),
        with_scores([0.25, 0.5, 0.25, 0.5]),
        with_scores([0.25, 0.75, "0.5", 0.5]),
        with_scores([[0.25, 0.75], [0.5, 0.5]]),
        with_scores([0.25, 0.75, None, 1]),
        with_scores([0.25, 0.75, -0.5, 1.5]),
        with_scores([True, False, False, True]),
        {**ANSWER, "outputs": ANSWER["outputs"] * 2},
        {**ANSWER, "outputs": []},
        {**ANSWER, "parameters": {"revision": "r1"}},
        {**ANSWER, "parameters": {**ANSWER["parameters"], "revision": ""}},
        {**ANSWER, "parameters": {"labels": json.dumps(LABELS)}},
        *({**ANSWER, "parameters": {"revision": "r1", "labels": labels}} for labels in WRONG_LABELS),
        {**ANSWER, "parameters": None},
    ],
)
async def test_wrong_answer_is_an_upstream_fault(answer: dict[str, Any]) -> None:
    """
    An answer that is short, long, of other numbers, or without its revision or labels is a 502.
    """
    assert isinstance(await fault_of(rest_hop(answering(200, json=answer)), ["one", "two"]), UpstreamFault)
