"""What unit tests of both packages share."""

import logging
from collections.abc import Iterator

import pytest
import structlog


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
