"""
The README's reference, held complete against what really runs.
"""

import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from predictor.settings import PredictorSettings
from processes import ROOT, Service
from transformer.settings import TransformerSettings

README = (ROOT / "README.md").read_text()
RUNTIME_METRICS = ("python_", "process_")


def test_every_setting_is_documented() -> None:
    """
    The README names every setting of both services.
    """
    names = {*PredictorSettings.model_fields, *TransformerSettings.model_fields}
    assert [name for name in sorted(names) if f"`{name.upper()}`" not in README] == []


def test_every_documented_setting_exists() -> None:
    """
    The README's tables of settings name nothing that is none.
    """
    rows = re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)
    assert {name.lower() for name in rows} == {*PredictorSettings.model_fields, *TransformerSettings.model_fields}


def test_every_route_is_documented(transformer_service: Service) -> None:
    """
    The README names every route of the live transformer, with its method.
    """
    paths = httpx.get(f"{transformer_service.url}/openapi.json").json()["paths"]
    routes = {
        f"`{method.upper()} {path.replace('{model_name}', '<m>').replace('{model_version}', '<v>')}`"
        for path, methods in paths.items()
        for method in methods
    }
    assert sorted(route for route in routes if route not in README) == []


@pytest.mark.parametrize("service", ["predictor_service", "transformer_service"])
def test_every_metric_is_documented(request: pytest.FixtureRequest, service: str) -> None:
    """
    The README names every metric of either live service that is not Python's own.
    """
    text = httpx.get(f"{request.getfixturevalue(service).url}/metrics").text
    names = {family.name.removesuffix("_created") for family in text_string_to_metric_families(text)}
    assert [name for name in sorted(names) if not name.startswith(RUNTIME_METRICS) and f"`{name}" not in README] == []
