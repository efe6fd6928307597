"""
The health service that Kubernetes' gRPC probes ask (grpc.health.v1); upstream has none.
"""

from typing import Any

from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

from serving.dataplane import HonestDataPlane
from serving.errors import NotFound

_SERVICES = ("", "inference.GRPCInferenceService")


class Health(HealthServicer):
    """
    Tells what `ServerReady` tells, at each question: nothing is remembered that could grow untrue.
    """

    def __init__(self, dataplane: HonestDataPlane) -> None:
        self._dataplane = dataplane

    async def Check(self, request: HealthCheckRequest, context: aio.ServicerContext[Any, Any]) -> HealthCheckResponse:
        """
        Whether this process can take requests now and is not draining.

        Raises:
            NotFound: there is no such service.
        """
        if request.service not in _SERVICES:
            raise NotFound("ask for the service inference.GRPCInferenceService, or for none")
        ready = await self._dataplane.ready()
        return HealthCheckResponse(status=HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING)
