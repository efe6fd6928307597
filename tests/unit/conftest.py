"""What unit tests of both packages share."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import CollectorRegistry

from serving.access_log import AccessLog
from serving.admission import Admission
from serving.metrics import RequestMetrics
from serving.observer import Observer


@pytest.fixture
def own_logs() -> Iterator[None]:
    """
    Logging that a test may configure: what was there before comes back after it.
    """
    root, kserve = logging.getLogger(), logging.getLogger("kserve")
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in (root, kserve)]
    root.handlers = []
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def registry() -> CollectorRegistry:
    """
    Metrics of this test's own.
    """
    return CollectorRegistry()


@pytest.fixture
def observer(registry: CollectorRegistry) -> Observer:
    """
    Counts the requests of a service called `service`, and writes their lines.
    """
    metrics = RequestMetrics("service", Admission(max_requests=9, max_body_bytes=90), registry=registry)
    return Observer(metrics, AccessLog())
