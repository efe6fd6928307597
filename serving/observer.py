"""
What is told of each request once it is over, all of it read from the request's one record.
"""

from typing import Literal

from starlette.datastructures import Headers

from serving import record, trace_context
from serving.access_log import AccessLog
from serving.metrics import RequestMetrics
from serving.record import Record
from serving.traces import Traces


class Observer:
    """
    Opens the record of each request, and at its end counts it, writes its line and ends its span.

    Args:
        traces: None where they are not exported.
    """

    def __init__(self, metrics: RequestMetrics, log: AccessLog, traces: Traces | None = None) -> None:
        self._metrics = metrics
        self._log = log
        self._traces = traces

    def begin(self, headers: Headers, *, protocol: Literal["rest", "grpc"], route: str, client: str) -> Record:
        """
        The record of a request that has arrived.

        Args:
            headers: gRPC's metadata alike.
            route, client: see `Record`.
        """
        current = record.begin(headers.get("x-request-id"))
        current.protocol, current.route, current.client = protocol, route, client
        current.trace = trace_context.of(headers)
        if self._traces:
            self._traces.begin(current)
        return current

    def end(self, current: Record, status: int) -> None:
        """
        Take in how it ended.

        Args:
            status: HTTP's, for gRPC too.
        """
        current.status = status
        self._metrics.count(current)
        self._log.write(current)
        if self._traces:
            self._traces.end(current)
