from typing import Any

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from serving.dataplane import HonestDataPlane
from serving.drain import Drain
from serving.errors import NotFound
from serving.health import Health
from serving.model import ServedModel

CONTEXT: Any = None  # is not looked at


@pytest.mark.parametrize(("healthy", "draining"), [(True, False), (True, True), (False, False)])
async def test_check(
    dataplane: HonestDataPlane, model: ServedModel, drain: Drain, healthy: bool, draining: bool
) -> None:
    """
    The process serves exactly while its models can answer and it is not draining.
    """
    model.ready, drain.draining = healthy, draining
    serving = HealthCheckResponse.SERVING if healthy and not draining else HealthCheckResponse.NOT_SERVING
    for service in ("", "inference.GRPCInferenceService"):
        assert (await Health(dataplane).Check(HealthCheckRequest(service=service), CONTEXT)).status == serving


async def test_unknown_service(dataplane: HonestDataPlane) -> None:
    """
    A service that there is not is not found.
    """
    with pytest.raises(NotFound):
        await Health(dataplane).Check(HealthCheckRequest(service="other.Service"), CONTEXT)
