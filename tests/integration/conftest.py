"""
The stack that most tests share: one Redis, one predictor, one transformer.
"""

from collections.abc import Iterator

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
