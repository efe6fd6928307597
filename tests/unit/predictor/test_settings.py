from pathlib import Path

import pytest

from predictor.settings import EMBEDDED_MODEL, PredictorSettings
from serving.settings import ServingSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_BATCH_TOKENS", "0"), ("MAX_QUEUE_TOKENS", "many"), ("COMPUTE_THREADS", "0"), ("MAX_TEXTS", "-1")],
)
def test_impossible(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """
    An impossible value ends the process with one line that names the variable.
    """
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=rf"^error: {name}: [^\n]*$"):
        PredictorSettings.from_environment()


def test_model_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The embedded model is served unless MODEL_DIR names another.
    """
    assert PredictorSettings().model_dir == EMBEDDED_MODEL
    monkeypatch.setenv("MODEL_DIR", "/mnt/models")
    assert PredictorSettings.from_environment().model_dir == Path("/mnt/models")


def test_body_has_room() -> None:
    """
    Whatever body the transformer takes still fits when it is wrapped for the predictor.
    """
    assert PredictorSettings().max_body_bytes > 6 * ServingSettings().max_body_bytes
