import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.artifact import Artifact, ArtifactError
from predictor.classifier import load
from predictor.classifier.packed import PackedClassifier
from predictor.classifier.padded import TransformersClassifier

VOCABULARY = 64
BATCHES = st.lists(
    st.builds(
        lambda length, seed: [3 + seed * (place + 1) % 61 for place in range(length)],
        st.integers(1, 100),
        st.integers(1, 1000),
    ),
    min_size=1,
    max_size=12,
)
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
CONFIGS = {
    "DistilBert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 512},
    "Bert": {**SIZES, "max_position_embeddings": 512},
    "Roberta": {**SIZES, "max_position_embeddings": 514, "pad_token_id": 1},
    "XLMRoberta": {**SIZES, "max_position_embeddings": 514, "pad_token_id": 1, "hidden_act": "gelu_new"},
    "Electra": {**SIZES, "embedding_size": 32, "max_position_embeddings": 512},
}
KNOWN = [name for name in CONFIGS if name != "Electra"]
MODES = {"fp32": 1e-5, "bf16": 2e-2}


@pytest.fixture(scope="session", params=CONFIGS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """
    A tiny random checkpoint of a family, with three labels and weights large enough that each one matters.
    """
    path = tmp_path_factory.mktemp(request.param)
    config = getattr(transformers, f"{request.param}Config")(
        vocab_size=VOCABULARY, num_labels=3, initializer_range=0.3, **CONFIGS[request.param]
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{request.param}ForSequenceClassification")(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith("bias"):
                weights.normal_(0, 0.3)
    model.save_pretrained(path)
    return Artifact(path, ("a", "b", "c"), 512, "r", json.loads((path / "config.json").read_text()))


def eager(artifact: Artifact, batch: Sequence[Sequence[int]]) -> Any:
    """
    Logits of transformers' eager forward, each text alone.
    """
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        artifact.path, attn_implementation="eager", local_files_only=True
    ).eval()
    with torch.inference_mode():
        return torch.cat([model(input_ids=torch.tensor([ids])).logits for ids in batch])


def probabilities(logits: torch.Tensor) -> Any:
    """
    Softmax, as numpy.
    """
    return torch.softmax(logits, dim=-1).numpy()


@settings(max_examples=20)
@given(BATCHES)
def test_eager(checkpoint: Artifact, batch: list[list[int]]) -> None:
    """
    Every model's probabilities equal those of transformers' eager forward, whatever lengths a batch mixes.
    """
    expected = probabilities(eager(checkpoint, batch))
    assert load(checkpoint, "fp32").classify(batch) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("checkpoint", KNOWN, indirect=True)
def test_logits_at_every_length(checkpoint: Artifact) -> None:
    """
    The packed forward's logits are the eager ones within 5e-5, from a text of 1 token to one of 512.
    """
    batch = [[3 + (index * 7 + length) % 60 for index in range(length)] for length in (512, 1, 2, 100, 100, 511, 1)]
    actual = PackedClassifier(checkpoint, numeric_mode="fp32").logits(batch)
    assert actual.numpy() == pytest.approx(eager(checkpoint, batch).numpy(), abs=5e-5)


@pytest.mark.parametrize("checkpoint", KNOWN, indirect=True)
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=20)
@given(batch=BATCHES, data=st.data())
def test_batch_mates(checkpoint: Artifact, mode: str, batch: list[list[int]], data: st.DataObject) -> None:
    """
    A text's answer alone is its answer in any batch, within the mode's bound.
    """
    classifier = PackedClassifier(checkpoint, numeric_mode=mode)
    place = data.draw(st.integers(0, len(batch) - 1))
    assert classifier.classify(batch)[place] == pytest.approx(classifier.classify([batch[place]])[0], abs=MODES[mode])


def test_forward_by_family(checkpoint: Artifact) -> None:
    """
    The known families run packed, any other model runs through transformers, which has no mode but fp32.
    """
    known = checkpoint.path.name.rstrip("0123456789") in KNOWN
    assert isinstance(load(checkpoint, "fp32"), PackedClassifier if known else TransformersClassifier)
    if not known:
        with pytest.raises(ArtifactError, match="NUMERIC_MODE=bf16"):
            load(checkpoint, "bf16")


@pytest.mark.parametrize("checkpoint", ["DistilBert"], indirect=True)
def test_unknown_activation_is_not_packed(checkpoint: Artifact) -> None:
    """
    A known family with an activation or positions that the packed forward lacks runs through transformers.
    """
    config = {**checkpoint.config, "activation": "silu"}
    artifact = Artifact(checkpoint.path, checkpoint.labels, 512, "r", config)
    assert isinstance(load(artifact, "fp32"), TransformersClassifier)
