import orjson
import pytest

from fault.texts import Texts, sentence_of, sentences

LABELS = ("NEGATIVE", "POSITIVE")


@pytest.fixture
def texts() -> Texts:
    """
    Texts with the answers of two revisions, each the other's with the labels exchanged.
    """
    learnt = Texts()
    scores = {text: 0.51 + 0.4 * number / len(sentences()) for number, text in enumerate(sentences())}
    learnt.learn("one", LABELS, {text: (score, 1 - score) for text, score in scores.items()})
    learnt.learn("two", LABELS, {text: (1 - score, score) for text, score in scores.items()})
    return learnt


def body(texts: Texts, revision: str, asked: list[str]) -> bytes:
    """
    A right v1 answer.
    """
    rows = [sorted(zip(texts.row(revision, text), LABELS, strict=True), reverse=True) for text in asked]
    return orjson.dumps({"predictions": [[{"label": label, "score": score} for score, label in row] for row in rows]})


def test_right_answers_are_right(texts: Texts) -> None:
    """
    An answer is right when every text has its labels and scores, of the revision that is named, best first.
    """
    asked = [*texts.hot[:2], texts.unseen(), texts.unseen(long=True)]
    for revision in ("one", "two"):
        assert texts.fault_of(asked, revision, body(texts, revision, asked)) is None


def test_wrong_answers_are_wrong(texts: Texts) -> None:
    """
    Another revision's scores, another text's, another order, fewer texts and junk are all told as wrong.
    """
    asked = texts.hot[:2]
    right = orjson.loads(body(texts, "one", asked))["predictions"]
    for wrong in (right[::-1], [pairs[::-1] for pairs in right], right[:1], [*right, right[0]], [[], []], "junk"):
        assert texts.fault_of(asked, "one", orjson.dumps({"predictions": wrong}))
    assert texts.fault_of(asked, "two", body(texts, "one", asked))
    assert texts.fault_of(asked, "three", body(texts, "one", asked))
    assert texts.fault_of(asked, "one", b"junk")


def test_unseen_texts_are_new_and_known(texts: Texts) -> None:
    """
    No unseen text comes twice, and each is a sentence whose answer is known.
    """
    unseen = [texts.unseen(long=number % 2 == 0) for number in range(2000)]
    assert len({*unseen, *texts.hot}) == len(unseen) + len(texts.hot)
    assert {sentence_of(text) for text in unseen} <= {*texts.short, *texts.long}


def test_learnt_sentences_can_be_told_apart() -> None:
    """
    Of sentences with the same scores, or with one another's under the other label, one alone is asked.
    """
    learnt, asked = Texts(), sentences()
    scores = dict.fromkeys(asked, (0.5, 0.5)) | {
        asked[0]: (0.9, 0.1),
        asked[1]: (0.9, 0.1),
        asked[2]: (0.1, 0.9),
        asked[3]: (0.7, 0.3),
    }
    learnt.learn("one", LABELS, scores)
    assert learnt.short == [asked[0], asked[3]]
