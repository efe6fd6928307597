"""
The stack that most tests share: one Redis, one predictor, one transformer.
"""

from collections.abc import Iterator

import httpx
import pytest

from processes import Redis, Service, predictor, transformer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """
    A Redis that no test stops.
    """
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def predictor_service() -> Iterator[Service]:
    """
    A predictor that no test stops.
    """
    with predictor() as service:
        yield service


@pytest.fixture(scope="session")
def transformer_service(predictor_service: Service, redis_server: Redis) -> Iterator[Service]:
    """
    A transformer that no test stops.
    """
    with transformer(predictor_service.port, redis_server) as service:
        yield service


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
