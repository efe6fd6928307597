"""The embedded model, opened once."""

import pytest

from predictor.artifact import Artifact, open_artifact
from predictor.classifier import Classifier, load
from predictor.settings import EMBEDDED_MODEL


@pytest.fixture(scope="session")
def artifact() -> Artifact:
    """
    The model that ships with this project.
    """
    return open_artifact(EMBEDDED_MODEL, numeric_mode="fp32")


@pytest.fixture(scope="session")
def classifier(artifact: Artifact) -> Classifier:
    """
    Its weights, loaded.
    """
    return load(artifact, "fp32")
