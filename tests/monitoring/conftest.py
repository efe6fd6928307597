"""
A real Prometheus that scrapes the live services, while they are asked all kinds of things.
"""

import shutil
from collections.abc import Iterator

import pytest
import yaml

from processes import Redis, free_port, predictor, transformer

from .load import ask_for_a_while
from .prometheus import RULES, Prometheus


@pytest.fixture(scope="session")
def promtool() -> str:
    """
    The checker that comes with Prometheus.
    """
    return _binary("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """
    A Prometheus with our rules that has scraped two transformers, one without a predictor, and a predictor under load.
    """
    binary = _binary("prometheus")
    with (
        Redis() as redis,
        predictor() as model,
        transformer(model.port, redis, RATE_LIMIT="100000/second") as public,
        transformer(free_port()) as lonely,
    ):
        targets = {"sentiment-transformer": [public.port, lonely.port], "sentiment-predictor": [model.port]}
        with Prometheus(binary, targets, yaml.safe_load(RULES.read_text())) as server:
            ask_for_a_while(public, lonely)
            yield server


def _binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on the PATH; Debian has it in the package prometheus")
    return found
