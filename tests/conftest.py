"""
Marks by path, hypothesis's manner, and what tests of live services ask: those of the folder that the test lies in.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest

from processes import Service

_HERE = Path(__file__).parent

# A noisy machine is no failure: speed belongs to benchmarks.
hypothesis.settings.register_profile("laws", deadline=None)
hypothesis.settings.load_profile("laws")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark each test by the folder it lies in.
    """
    for item in items:
        item.add_marker(item.path.relative_to(_HERE).parts[0])


@pytest.fixture(params=["predictor", "transformer"])
def service(request: pytest.FixtureRequest) -> Service:
    """
    Each service in turn.
    """
    service: Service = request.getfixturevalue(f"{request.param}_service")
    return service


@pytest.fixture
def client(transformer_service: Service) -> Iterator[httpx.Client]:
    """
    A client of the shared transformer.
    """
    with httpx.Client(base_url=transformer_service.url, timeout=60) as http:
        yield http
