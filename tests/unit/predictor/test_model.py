import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kserve import InferInput, InferRequest

from predictor.artifact import Artifact, ArtifactError
from predictor.batcher import Batcher
from predictor.classifier import Classifier, load
from predictor.model import SentimentPredictor
from predictor.tokenizer import TextTokenizer
from serving import record

TEXTS = ["A wonderful film.", "A dull mess.", ""]


@pytest.fixture
async def model(artifact: Artifact, classifier: Classifier) -> AsyncIterator[SentimentPredictor]:
    """
    The predictor, open, on the embedded model.
    """
    batcher = Batcher(classifier.classify, threads=1, max_batch_tokens=64, max_queue_tokens=1000, max_wait_seconds=3600)
    model = SentimentPredictor("m", artifact, TextTokenizer(artifact, threads=1), batcher, max_texts=8)
    assert not model.ready
    await model.open()
    yield model
    await model.close()
    assert not model.ready


def _infer(texts: list[str]) -> InferRequest:
    return InferRequest("m", [InferInput("text", [len(texts)], "BYTES", data=texts)])


async def test_order(model: SentimentPredictor) -> None:
    """
    Each text's answer stands at its place, best label first, and equals its answer alone and over the other protocol.
    """
    answer, _ = await model({"text": TEXTS}, {})
    tensors, _ = await model(_infer(TEXTS), {})
    for index, (text, pairs) in enumerate(zip(TEXTS, answer["predictions"], strict=True)):
        (alone,) = (await model({"text": text}, {}))[0]["predictions"]
        assert [pair["label"] for pair in pairs] == [pair["label"] for pair in alone]
        assert [pair["score"] for pair in pairs] == pytest.approx([pair["score"] for pair in alone], abs=1e-5)
        assert max(tensors.outputs[0].data[index]) == pytest.approx(pairs[0]["score"], abs=1e-5)
        assert tensors.outputs[1].data[index].decode() == pairs[0]["label"]
    assert [pairs[0]["label"] for pairs in answer["predictions"][:2]] == ["POSITIVE", "NEGATIVE"]


async def test_empty(model: SentimentPredictor) -> None:
    """
    No text is a valid question, and its answer says the revision all the same.
    """
    assert (await model({"text": []}, {}))[0] == {"predictions": []}
    response, headers = await model(_infer([]), {})
    assert [output.shape for output in response.outputs] == [[0, 2], [0]]
    assert response.parameters["revision"] == headers["x-model-revision"] == model.versions[0]


async def test_headers(model: SentimentPredictor, artifact: Artifact) -> None:
    """
    An answer carries its revision and its phases, and the request's line the number of texts.
    """
    current = record.begin(None)
    _, headers = await model({"text": TEXTS}, {})
    assert headers["x-model-revision"] == artifact.revision
    phases = [phase.partition(";")[0] for phase in headers["server-timing"].split(", ")]
    assert phases == ["parse", "tokenise", "queue", "compute", "render"]
    assert current.fields["texts"] == 3


async def test_larger_than_the_queue(model: SentimentPredictor) -> None:
    """
    A request whose tokens never fit in the queue is served while nothing else waits.
    """
    assert len((await model({"text": ["good " * 600] * 3}, {}))[0]["predictions"]) == 3


async def test_readiness_is_the_engines(artifact: Artifact, classifier: Classifier) -> None:
    """
    An open model is ready while its engine has something to compute with.
    """
    there = [True]
    batcher = Batcher(classifier.classify, threads=1, max_batch_tokens=64, max_queue_tokens=1000, max_wait_seconds=3600)
    tokenizer = TextTokenizer(artifact, threads=1)
    model = SentimentPredictor("m", artifact, tokenizer, batcher, max_texts=8, available=lambda: there[0])
    assert not await model.healthy()
    await model.open()
    assert await model.healthy()
    there[0] = False
    assert not await model.healthy()
    await model.close()


async def test_labels_of_another_model(artifact: Artifact) -> None:
    """
    A model whose scores are not those of its labels does not become ready.
    """
    named = dataclasses.replace(artifact, labels=("A", "B", "C"))
    batcher = Batcher(
        load(artifact, "fp32").classify, threads=1, max_batch_tokens=512, max_queue_tokens=1000, max_wait_seconds=3600
    )
    model = SentimentPredictor("m", named, TextTokenizer(artifact, threads=1), batcher, max_texts=8)
    with pytest.raises(ArtifactError, match=r"scores 2 labels, its config\.json names 3"):
        await model.open()
    assert not model.ready
    await model.close()


def test_metadata(model: SentimentPredictor, artifact: Artifact) -> None:
    """
    Metadata describes the tensors that answers have, and lists the one revision as version.
    """
    described: list[dict[str, Any]] = [*model.get_input_types(), *model.get_output_types()]
    assert [tuple(one.values()) for one in described] == [
        ("text", "BYTES", [-1]),
        ("scores", "FP32", [-1, 2]),
        ("label", "BYTES", [-1]),
    ]
    assert model.versions == [artifact.revision]
