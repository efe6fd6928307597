import hashlib

import pytest

from predictor.artifact import Artifact

KNOWN = {
    "config.json": "89fb9dfc9063d6f94576ffc50b03947ba65e06901dfe1254bc8fb964e50b1520",
    "model.safetensors": "721567a77de9381ead663dcd946fd28b6c8b6493e7403be8fbba8b64fd8aaa50",
    "tokenizer.json": "5fd1c882abbd30517dced455a2c9768945ec726b96727927e4959348d9de550b",
    "tokenizer_config.json": "63431bb0b936fe2bc51358845418790ec1ab4c2f994c27138b5f9e5033c6ba8a",
}


@pytest.mark.parametrize("name", KNOWN)
def test_digest(artifact: Artifact, name: str) -> None:
    """
    The embedded model's files are the known ones, byte by byte.
    """
    assert hashlib.sha256((artifact.path / name).read_bytes()).hexdigest() == KNOWN[name]


def test_nothing_else(artifact: Artifact) -> None:
    """
    The directory holds these files and their papers, and nothing else that could be loaded.
    """
    assert {file.name for file in artifact.path.iterdir()} == {*KNOWN, "README.md", "RECIPE.md"}


def test_facts(artifact: Artifact) -> None:
    """
    The labels are in the order of the logits' columns, and a text is cut at 512 tokens.
    """
    assert (artifact.labels, artifact.max_tokens) == (("NEGATIVE", "POSITIVE"), 512)
