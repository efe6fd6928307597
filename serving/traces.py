"""
Spans of requests, sent over OTLP where an endpoint is configured (`OTEL_EXPORTER_OTLP_ENDPOINT`).

A request is a span, and each of its phases one within it. The SDK is an optional extra, imported only then; its own
environment variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, …) count as everywhere.
"""

import os
import sys
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags, TraceState

from serving.record import Record
from serving.trace_context import TraceContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NS_A_MS = 1_000_000
_LAST_SECONDS = 2.0


def from_environment(service: str) -> "Traces | None":
    """
    Where spans go; None where no endpoint is configured. Without the SDK the process ends with one line.

    Args:
        service: its name in the traces, unless `OTEL_SERVICE_NAME` is another.
    """
    configured = [name for name in _ENDPOINTS if os.environ.get(name)]
    if not configured:
        return None
    try:
        return Traces(service)
    except ImportError:
        sys.exit(f"error: {configured[0]} is set, but OpenTelemetry's SDK is missing: install the extra `otel`")


class Traces:
    """
    Opens and ends the span of each request.
    """

    def __init__(self, service: str) -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415  # an optional extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        name = os.environ.get("OTEL_SERVICE_NAME") or service.replace("_", "-")
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._exporter = _exporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("serving")

    def begin(self, record: Record) -> None:
        """
        Open the span of a request; it becomes the request's place in its trace.
        """
        record.span = self._tracer.start_span(record.route, _parent(record.trace), SpanKind.SERVER)
        place = record.span.get_span_context()
        if place.is_valid:  # not with OTEL_SDK_DISABLED
            ids = trace.format_trace_id(place.trace_id), trace.format_span_id(place.span_id)
            record.trace = TraceContext(*ids, place.trace_flags.sampled, place.trace_state.to_header())

    def end(self, record: Record) -> None:
        """
        End the span of a request, with those of its phases.

        Probes, scrapes and metadata that succeed have none: a span that is not ended is not sent.
        """
        if record.succeeded and not record.durations_ms:
            return
        now = time.time_ns()
        at = now - round(record.elapsed_ms() * _NS_A_MS)
        within = trace.set_span_in_context(record.span, Context())
        for phase, duration_ms in record.durations_ms.items():
            span = self._tracer.start_span(phase, within, start_time=at)
            at += round(duration_ms * _NS_A_MS)
            span.end(at)
        record.span.set_attributes(_attributes(record))
        if record.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            record.span.set_status(StatusCode.ERROR)
        record.span.end(now)

    def close(self) -> None:
        """
        Send what is left; a collector that does not answer is not waited for, since the pod's time is short.
        """
        giving_up = threading.Timer(_LAST_SECONDS, self._exporter.shutdown)
        giving_up.start()
        self._provider.shutdown()
        giving_up.cancel()


def _exporter() -> "SpanExporter":
    if next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc  # noqa: PLC0415

        return over_grpc.OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http  # noqa: PLC0415

    return over_http.OTLPSpanExporter()


def _parent(place: TraceContext | None) -> Context:
    if place is None:
        return Context()
    told = trace.SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(place.sampled),
        trace_state=TraceState.from_header([place.state]),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(told), Context())


def _attributes(record: Record) -> dict[str, Any]:
    """
    By OpenTelemetry's semantic conventions, where they have a name.
    """
    named = {"rpc.system": "grpc"} if record.protocol == "grpc" else {"http.request.method": record.fields["method"]}
    own = {name: value for name, value in record.fields.items() if name in ("texts", "hits", "error_type")}
    return {
        **named,
        **own,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "client.address": record.client,
        "request_id": record.request_id,
    }
