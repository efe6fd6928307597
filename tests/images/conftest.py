"""
The stack in containers: both images, wired as KServe wires them, and a Redis beside them.
"""

from collections.abc import Iterator

import pytest

from processes import Redis, Service

from .containers import Container, ReachableRedis, build, missing, podman

# The Service that KServe puts in front of the predictor has this name, and port 80.
PREDICTOR_HOST = "sentiment-predictor.sentiment"


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """
    The images' tags by service, built now.
    """
    lack = missing()
    if lack:
        pytest.skip(lack)
    return build()


@pytest.fixture(scope="session")
def gateway(images: dict[str, str]) -> str:
    """
    The machine's address in podman's own network.
    """
    return podman("network", "inspect", "podman", "--format={{(index .Subnets 0).Gateway}}")


@pytest.fixture(scope="session")
def predictor_service(images: dict[str, str], gateway: str) -> Iterator[Service]:
    """
    A predictor that no test stops, behind its Service's port.
    """
    with Container("predictor", images["predictor"], f"--publish={gateway}:80:8080") as service:
        yield service


@pytest.fixture(scope="session")
def redis_server(predictor_service: Service, gateway: str) -> Iterator[Redis]:
    """
    A Redis that no test stops, reached from containers; their network is there once a container is.
    """
    with ReachableRedis(gateway) as server:
        yield server


@pytest.fixture(scope="session")
def predictor_name(predictor_service: Service, gateway: str) -> str:
    """
    What a container is told to find the predictor by the name that KServe gives to it.
    """
    return f"--add-host={PREDICTOR_HOST}:{gateway}"


@pytest.fixture(scope="session")
def transformer_service(images: dict[str, str], predictor_name: str, redis_server: Redis) -> Iterator[Service]:
    """
    A transformer that no test stops; a machine that stalls does not make it give a store up.
    """
    env = {"REDIS_URL": redis_server.url, "REDIS_TIMEOUT_MS": "2000"}
    with Container("transformer", images["transformer"], predictor_name, **env) as service:
        yield service
