import pytest

from predictor import openapi as predictor_openapi
from serving.routes import UNKNOWN, Routes
from transformer import openapi as transformer_openapi

TEMPLATES = [
    *predictor_openapi.build("sentiment")["paths"],
    *transformer_openapi.build("sentiment")["paths"],
]


@pytest.mark.parametrize("template", sorted(set(TEMPLATES)))
def test_own_name(template: str) -> None:
    """
    A path of a route has the route's name, whatever stands in the place of what varies.
    """
    routes = Routes(TEMPLATES)
    for value in ("sentiment", "a.b", "x:y", "🙂"):
        assert routes.name(template.replace("{model_name}", value).replace("{model_version}", value)) == template


@pytest.mark.parametrize("path", ["", "/nothing", "/v1/models/a/b:predict", "/metrics/", "/predict?x", "/PREDICT"])
def test_unknown(path: str) -> None:
    """
    A path of no route has the one name that all such paths have.
    """
    assert Routes(TEMPLATES).name(path) == Routes([]).name(path) == UNKNOWN
