"""
A real Prometheus that scrapes the live services, while they are asked all kinds of things.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from time import sleep

import pytest

from local.supervisor import Failure
from processes import Redis, Service, free_port, predictor, transformer
from watching.prometheus import Prometheus, find, start

from .load import ask_for_a_while

INTERVAL_SECONDS = 0.5


@pytest.fixture(scope="session")
def promtool() -> str:
    """
    The checker that comes with Prometheus.
    """
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool on the PATH; Debian has it in the package prometheus")
    return found


@pytest.fixture(scope="session")
def prometheus_program() -> str:
    """
    Prometheus itself.
    """
    try:
        return find()
    except Failure as failure:
        pytest.skip(str(failure))


@dataclass(frozen=True)
class Stack:
    """
    A predictor, a transformer before it, and one that has none.
    """

    model: Service
    public: Service
    lonely: Service


@pytest.fixture(scope="session")
def stack(prometheus_program: str) -> Iterator[Stack]:
    """
    The live services, which nobody has asked yet.
    """
    with (
        Redis() as redis,
        predictor() as model,
        transformer(model.port, redis, RATE_LIMIT="100000/second") as public,
        transformer(free_port()) as lonely,
    ):
        yield Stack(model, public, lonely)


@pytest.fixture(scope="session")
def prometheus(stack: Stack) -> Iterator[Prometheus]:
    """
    A Prometheus with our rules that has scraped them under load.
    """
    targets = {
        "sentiment-transformer": [stack.public.url, stack.lonely.url],
        "sentiment-predictor": [stack.model.url],
    }
    with contextlib.ExitStack() as children:
        server = start(targets, children, lambda: sleep(0.02), interval_seconds=INTERVAL_SECONDS)
        ask_for_a_while(stack.public, stack.lonely)
        yield server
