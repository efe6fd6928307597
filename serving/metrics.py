"""
What each service counts of its requests; KServe's own `request_*_seconds` stay beside it.
"""

from functools import cache
from http import HTTPStatus

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, disable_created_metrics

from serving.admission import Admission
from serving.histogram import Histogram
from serving.openapi.refusals import Json
from serving.record import Record

# A hit takes half a millisecond, the largest request the 10 s that a transformer waits; 0.25 s is the objective.
SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_GRPC_PREDICTION = "/inference.GRPCInferenceService/ModelInfer"

# As many series again, which only say when each was first seen.
disable_created_metrics()  # type: ignore[no-untyped-call]


class RequestMetrics:
    """
    Requests, and the time of those that were answered.

    Args:
        service: what the metrics' names begin with.
        admission: what is at work.
    """

    def __init__(self, service: str, admission: Admission, *, registry: CollectorRegistry = REGISTRY) -> None:
        requests = Counter(
            f"{service}_requests_total",
            "Requests by route, protocol and HTTP status, over gRPC the status that REST would give; 499: client left.",
            ["route", "protocol", "status"],
            registry=registry,
        )
        seconds = Histogram(
            f"{service}_request_seconds",
            "Time of a prediction, from the arrival of the whole request to its answer; refusals and errors left out.",
            "protocol",
            buckets=SECONDS,
            registry=registry,
        )
        phase_seconds = Histogram(
            f"{service}_phase_seconds",
            "Time of a prediction by phase, the phases of server-timing.",
            "phase",
            buckets=SECONDS,
            registry=registry,
        )
        in_flight = Gauge(f"{service}_requests_in_flight", "Requests at work now.", registry=registry)
        in_flight.set_function(lambda: admission.requests)
        most = Gauge(f"{service}_max_requests_in_flight", "Requests at work at once, at most.", registry=registry)
        most.set(admission.max_requests)
        # to find a series by its labels takes longer than to count
        self._requests = cache(requests.labels)
        self._seconds, self._phase_seconds = seconds.labels, phase_seconds.labels

    def expect(self, document: Json) -> None:
        """
        Have what alerts watch there at 0: of a series that begins with its first fault Prometheus sees no growth.

        Args:
            document: the OpenAPI document, which has the answers of each prediction.
        """
        for protocol in ("rest", "grpc"):
            self._seconds(protocol)
        for path, operations in document["paths"].items():
            answers = operations.get("post", {}).get("responses", {})
            for status in map(int, answers if "200" in answers else ()):
                if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    self._requests(path, "rest", status)
                    self._requests(_GRPC_PREDICTION, "grpc", status)

    def count(self, record: Record) -> None:
        """
        Take in a request that has ended.
        """
        self._requests(record.route, record.protocol, record.status).inc()
        phases = record.durations_ms
        if not record.succeeded or not phases:
            return
        for phase, duration_ms in phases.items():
            self._phase_seconds(phase).observe(duration_ms / 1000)
        seconds = (record.elapsed_ms() - phases.get("receive", 0)) / 1000
        self._seconds(record.protocol).observe(seconds, _exemplar(record))


def _exemplar(record: Record) -> dict[str, str] | None:
    """
    The trace that shows what such a time was spent on, where somebody keeps it.
    """
    return {"trace_id": record.trace.trace_id} if record.trace and record.trace.sampled else None
