import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput

from serving.errors import InvalidRequest, TooLarge
from transformer import contract
from transformer.answers import Answer
from transformer.contract import Question

from .parts import LABELS, json_of, revision_of

Parse = Callable[[object], Question]
MAX_TEXTS = 3
LISTED = {"predictions": [[{"label": "POSITIVE", "score": 0.75}, {"label": "NEGATIVE", "score": 0.25}]]}


def parse_v1(payload: object) -> Question:
    """
    Parse as KServe's own routes do.
    """
    return contract.parse(payload, max_texts=MAX_TEXTS, model_name="sentiment")


def parse_bulk(payload: object) -> Question:
    """
    Parse as `/project/bulk-predict` does.
    """
    return contract.parse_bulk(payload, max_texts=MAX_TEXTS)


def parse_predict(payload: object) -> Question:
    """
    Parse as `/predict` does.
    """
    return contract.parse_predict(payload, max_texts=MAX_TEXTS)


def infer_request(**fields: Any) -> InferRequest:  # InferRequest's own arguments
    """
    An OIP request of one text.
    """
    return InferRequest("sentiment", [InferInput("text", [1], "BYTES", data=["a"])], **fields)


each_parse = pytest.mark.parametrize("parse", [parse_v1, parse_bulk, parse_predict])


@each_parse
@pytest.mark.parametrize("texts", [[], ["a"], ["a", "", "a"], ["Ελληνικά\n\x00"]])
def test_list_of_texts_is_a_question_everywhere(parse: Parse, texts: list[str]) -> None:
    """
    Each route takes `{"text": ["…", …]}`, empty too, keeps the texts as they are, and answers with a list per text.
    """
    question = parse({"text": texts})
    assert question.texts == texts
    assert question.render(Answer(revision_of("r1"), [], 0)) == {"predictions": []}
    assert question.render(Answer(revision_of("r1"), [(0.25, 0.75)], 0)) == LISTED


@pytest.mark.parametrize(
    ("payload", "texts"),
    [
        ({"text": "a"}, ["a"]),
        ({"text": ""}, [""]),
        ({"instances": []}, []),
        ({"instances": ["a", {"text": "b"}]}, ["a", "b"]),
        ({"instances": [{"text": "b", "id": 7}], "parameters": {}}, ["b"]),
    ],
)
def test_v1_takes_text_or_instances(payload: object, texts: list[str]) -> None:
    """
    KServe's route takes one text, and instances that are texts or have one, and answers with a list per text.
    """
    question = parse_v1(payload)
    assert question.texts == texts
    assert question.render(Answer(revision_of("r1"), [(0.25, 0.75)], 0)) == LISTED


def test_one_text_on_predict_has_only_the_top_label() -> None:
    """
    `/predict` answers one text with its best label alone and the seconds it took.
    """
    question = parse_predict({"text": "a"})
    answer = question.render(Answer(revision_of("r1"), [(0.25, 0.75)], 0))
    assert question.texts == ["a"]
    assert answer["sentiment"] == [{"label": "POSITIVE", "score": 0.75}]
    assert answer["inference_time"] >= 0
    assert set(answer) == {"sentiment", "inference_time"}


WRONG: list[object] = [
    None, [], "text", 1, {}, {"texts": ["a"]}, {"text": None}, {"text": 1}, {"text": {"text": "a"}},
    {"text": ["a", 1]}, {"text": ["a", None]}, {"text": ["a", True]}, {"text": [["a"]]}, {"text": [{"text": "a"}]},
]  # fmt: skip


@each_parse
@pytest.mark.parametrize("payload", WRONG, ids=json.dumps)
def test_wrong_shape_is_refused_everywhere(parse: Parse, payload: object) -> None:
    """
    What is no object, or has no text, or another thing in a text's place, is an `InvalidRequest`.
    """
    with pytest.raises(InvalidRequest):
        parse(payload)


@pytest.mark.parametrize(
    "payload",
    [{"text": "a", "instances": ["a"]}, {"instances": None}, {"instances": [{"txt": "a"}]}, {"instances": [["a"]]}],
    ids=json.dumps,
)
def test_wrong_instances_are_refused(payload: object) -> None:
    """
    Instances beside a text, without one, or of another shape are an `InvalidRequest`.
    """
    with pytest.raises(InvalidRequest):
        parse_v1(payload)


@pytest.mark.parametrize(("parse", "name"), [(parse_bulk, "text"), (parse_v1, "instances")], ids=["bulk", "instances"])
def test_string_where_only_a_list_is_right_is_told_so(parse: Parse, name: str) -> None:
    """
    Where only a list is taken, the error for a string does not say that a string would be right.
    """
    with pytest.raises(InvalidRequest) as raised:
        parse({name: "a"})
    assert "must be a list" in raised.value.message


@each_parse
def test_limit_of_texts_is_exact(parse: Parse) -> None:
    """
    As many texts as the limit are taken, and one more is `TooLarge`.
    """
    assert len(parse({"text": ["a"] * MAX_TEXTS}).texts) == MAX_TEXTS
    with pytest.raises(TooLarge):
        parse({"text": ["a"] * (MAX_TEXTS + 1)})


SECRET = "s3cr3t"
secret_values = json_of(st.sampled_from([SECRET, f"{SECRET} twice"]))
near_questions = st.dictionaries(
    st.sampled_from(["text", "instances", "parameters"]), secret_values | st.just([SECRET, 1])
)


@each_parse
@given(payload=secret_values | near_questions)
def test_any_json_is_a_question_or_an_error_that_keeps_quiet(parse: Parse, payload: object) -> None:
    """
    Any JSON is either a list of strings within the limit or an error of ours, which never repeats a text.
    """
    try:
        question = parse(payload)
    except (InvalidRequest, TooLarge) as error:
        assert SECRET not in error.message  # noqa: PT017  # either outcome is lawful
    else:
        assert all(isinstance(text, str) for text in question.texts)
        assert len(question.texts) <= MAX_TEXTS


def test_infer_request_is_answered_with_tensors() -> None:
    """
    An OIP request is answered with `scores` (N, L) and the best `label` (N), the revision, the labels and its id.
    """
    question = contract.parse(infer_request(request_id="id"), max_texts=MAX_TEXTS, model_name="sentiment")
    response = question.render(Answer(revision_of("r1"), [(0.25, 0.75)], 0)).to_rest()[0]
    outputs = {output["name"]: output for output in response["outputs"]}
    assert question.texts == ["a"]
    assert (outputs["scores"]["shape"], outputs["scores"]["data"]) == ([1, 2], [0.25, 0.75])
    assert (outputs["label"]["shape"], outputs["label"]["data"]) == ([1], ["POSITIVE"])
    assert (response["id"], response["model_version"]) == ("id", "r1")
    assert response["parameters"] == {"revision": "r1", "labels": json.dumps(LABELS)}


def test_infer_request_for_an_unknown_output_is_refused_before_it_costs_anything() -> None:
    """
    An OIP request for an output that there is not is no question.
    """
    request = infer_request(request_outputs=[RequestedOutput("embedding")])
    with pytest.raises(InvalidRequest):
        contract.parse(request, max_texts=MAX_TEXTS, model_name="sentiment")


def test_infer_request_over_the_limit_is_too_large() -> None:
    """
    An OIP request obeys the same limit of texts.
    """
    request = InferRequest("sentiment", [InferInput("text", [4], "BYTES", data=["a"] * 4)])
    with pytest.raises(TooLarge):
        contract.parse(request, max_texts=MAX_TEXTS, model_name="sentiment")
