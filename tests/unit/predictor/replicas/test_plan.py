import importlib.util

import pytest

from predictor.replicas.plan import Plan, parse
from predictor.settings import PredictorSettings


@pytest.fixture
def _ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize(
    ("setting", "plan"),
    [
        ("ray:1", Plan(1, "local")),
        ("ray:16", Plan(16, "local")),
        ("ray:2@auto", Plan(2, "auto")),
        ("ray:4@10.0.0.1:6379", Plan(4, "10.0.0.1:6379")),
        ("ray:4@ray://head.sentiment:10001", Plan(4, "ray://head.sentiment:10001")),
    ],
)
def test_forms(monkeypatch: pytest.MonkeyPatch, setting: str, plan: Plan) -> None:
    """
    The setting is a number of replicas and, after an @, where they are.
    """
    assert parse(setting) == plan
    monkeypatch.setenv("PREDICTOR_REPLICAS", setting)
    assert PredictorSettings.from_environment().predictor_replicas == plan


def test_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Unset or empty, there are no replicas.
    """
    assert PredictorSettings().predictor_replicas is None
    monkeypatch.setenv("PREDICTOR_REPLICAS", "")
    assert PredictorSettings().predictor_replicas is None


@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize("setting", ["2", "ray", "ray:0", "ray:two", "ray:1000", "ray:2@", "ray:2@head", "dask:2"])
def test_impossible(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """
    What is no such form ends the start with one line that says what would be.
    """
    monkeypatch.setenv("PREDICTOR_REPLICAS", setting)
    with pytest.raises(SystemExit, match=r"^error: PREDICTOR_REPLICAS: [^\n]*must be ray:<n> or ray:<n>@<address>"):
        PredictorSettings.from_environment()


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where Ray is not installed, the line says which extra brings it.
    """
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PREDICTOR_REPLICAS", "ray:2")
    with pytest.raises(SystemExit, match=r"^error: PREDICTOR_REPLICAS: [^\n]*the extra `ray` brings it"):
        PredictorSettings.from_environment()
