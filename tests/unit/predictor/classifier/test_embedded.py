from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from predictor.artifact import Artifact
from predictor.classifier import Classifier
from predictor.settings import EMBEDDED_MODEL

IDS = st.lists(st.integers(0, 30_521), min_size=1, max_size=24).map(lambda ids: [101, *ids, 102])


@pytest.fixture(scope="module")
def eager() -> Any:
    """
    The eager forward of transformers, on the same weights.
    """
    return AutoModelForSequenceClassification.from_pretrained(
        EMBEDDED_MODEL, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()


def _ask(eager: Any, ids: list[int]) -> Any:
    with torch.inference_mode():
        return torch.softmax(eager(input_ids=torch.tensor([ids])).logits, dim=-1)[0].numpy()


@settings(max_examples=25)
@given(st.lists(IDS, min_size=1, max_size=6), st.data())
def test_batch(classifier: Classifier, batch: list[list[int]], data: st.DataObject) -> None:
    """
    A text's answer is the same alone and in any batch at any place, and its probabilities sum to one.
    """
    place = data.draw(st.integers(0, len(batch) - 1))
    rows = classifier.classify(batch)
    assert rows.shape == (len(batch), 2)
    assert rows.dtype == np.float32
    assert rows.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert rows[place] == pytest.approx(classifier.classify([batch[place]])[0], abs=1e-5)


@settings(max_examples=25)
@given(IDS)
def test_eager(classifier: Classifier, eager: Any, ids: list[int]) -> None:
    """
    Answers equal transformers' eager forward of the text alone.
    """
    assert classifier.classify([ids])[0] == pytest.approx(_ask(eager, ids), abs=1e-5)


def test_lengths(classifier: Classifier, eager: Any) -> None:
    """
    The longest text beside the shortest changes neither.
    """
    batch = [[101, *[2204] * 510, 102], [101, 102]]
    assert classifier.classify(batch) == pytest.approx(np.stack([_ask(eager, ids) for ids in batch]), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A wonderful, moving film.", "POSITIVE"),
        ("I loved every minute of it!", "POSITIVE"),
        ("A dull and lifeless mess.", "NEGATIVE"),
        ("The worst thing I have ever seen.", "NEGATIVE"),
    ],
)
def test_sense(classifier: Classifier, artifact: Artifact, text: str, label: str) -> None:
    """
    Plain praise and plain blame are told apart: the columns are the labels'.
    """
    ids = AutoTokenizer.from_pretrained(artifact.path, local_files_only=True)(text)["input_ids"]
    assert artifact.labels[classifier.classify([ids])[0].argmax()] == label
