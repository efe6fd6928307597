"""
The README's reference, held complete against what really runs.
"""

import itertools
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from predictor.settings import PredictorSettings
from processes import ROOT, Service
from transformer.settings import TransformerSettings

README = (ROOT / "README.md").read_text()
RUNTIME_METRICS = ("python_", "process_")
FAULTS = ("429", "500", "503")  # of either service


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
    names = {
        name.replace(f"sentiment_{service.removesuffix('_service')}", "…") if f"`{name}" not in README else name
        for name in metrics_of(request.getfixturevalue(service))
    }
    assert [name for name in sorted(names) if not name.startswith(RUNTIME_METRICS) and f"`{name}" not in README] == []


def test_every_documented_metric_exists(predictor_service: Service, transformer_service: Service) -> None:
    """
    Both live services have the metrics that the README gives to both, and one of them each that it names in full.
    """
    predictor, transformer = metrics_of(predictor_service), metrics_of(transformer_service)
    named = {name.removesuffix("_total") for name in re.findall(r"`(\w+_(?:\w+)?)`", README) if "sentiment_" in name}
    assert sorted(named - predictor - transformer) == []
    for name in re.findall(r"`…_(\w+?)(?:_total)?`", README):
        assert f"sentiment_predictor_{name}" in predictor
        assert f"sentiment_transformer_{name}" in transformer


def test_scrape_is_small(service: Service) -> None:
    """
    However much a service was asked for, what it tells Prometheus stays under 50 KiB.
    """
    for path in range(100):
        httpx.get(f"{service.url}/unknown/{path}")
    assert len(httpx.get(f"{service.url}/metrics").content) < 50 * 1024


def test_first_fault_counts(service: Service) -> None:
    """
    Of every route and protocol of predictions, refusals and faults are counted from a live service's first scrape on.
    """
    text = httpx.get(f"{service.url}/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    told = {(s.labels["route"], s.labels["status"]) for s in samples if s.name.endswith("requests_total")}
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    predictions = {path for path, operations in paths.items() if re.search("(predict|infer)$", path)}
    assert predictions
    expected = itertools.product({*predictions, "/inference.GRPCInferenceService/ModelInfer"}, FAULTS)
    assert set(expected) - told == set()


def metrics_of(service: Service) -> set[str]:
    """
    The names of a live service's metrics, without the suffixes of their samples.
    """
    families = list(text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text))
    return {family.name for family in families}
