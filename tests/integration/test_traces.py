import subprocess
import sys
from collections.abc import Iterator

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from collector import Collector, Span
from processes import ROOT, Redis, Service, predictor, until

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PREDICT = "/v1/models/{model_name}:predict"
INFER = "/v2/models/{model_name}/infer"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """
    Where both services send their spans.
    """
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_predictor(collector: Collector) -> Iterator[Service]:
    """
    A predictor that tells of its requests.
    """
    with predictor(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50") as service:
        yield service


@pytest.fixture(scope="module", params=["v2", "grpc-v2"])
def traced(
    request: pytest.FixtureRequest, collector: Collector, traced_predictor: Service, redis_server: Redis
) -> Iterator[Service]:
    """
    A transformer that does so too, with either way to the predictor.
    """
    port = traced_predictor.port if request.param == "v2" else traced_predictor.grpc_port
    flags = ("--predictor_host", f"127.0.0.1:{port}", "--predictor_protocol", request.param)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with Service("transformer", *flags, **env) as service:
        yield service


def spans_of(collector: Collector, trace_id: str) -> dict[tuple[str, str], Span]:
    """
    The spans of a trace that have come, by service and name.
    """
    return {(span.service, span.name): span for span in collector.spans if span.trace_id == trace_id}


def test_trace_goes_on(collector: Collector, traced: Service) -> None:
    """
    A request's span is within its caller's, its phases within it, and the predictor's within the transformer's.
    """
    trace_id = TRACE[:-4] + f"{traced.port:04x}"[-4:]
    traceparent = TRACEPARENT.replace(TRACE, trace_id)
    httpx.post(
        f"{traced.url}/v1/models/sentiment:predict", json={"text": "traced"}, headers={"traceparent": traceparent}
    )
    asked = {("sentiment-predictor", INFER), ("sentiment-predictor", MODEL_INFER)}
    until(lambda: ("sentiment-transformer", PREDICT) in spans_of(collector, trace_id))
    until(lambda: bool(asked & spans_of(collector, trace_id).keys()))
    spans = spans_of(collector, trace_id)
    public = spans["sentiment-transformer", PREDICT]
    [model] = [span for name, span in spans.items() if name in asked]
    assert public.parent_id == CALLER
    assert model.parent_id == public.span_id
    for service, parent, phases in (
        ("sentiment-transformer", public, ("receive", "parse", "cache", "model", "render")),
        ("sentiment-predictor", model, ("receive", "parse", "tokenise", "queue", "compute", "render")),
    ):
        assert [spans[service, phase].parent_id for phase in phases] == [parent.span_id] * len(phases)
    assert not any("traced" in value for span in spans.values() for value in span.attributes.values())


def test_new_trace(collector: Collector, traced: Service) -> None:
    """
    A request that belongs to no trace begins one, whose id is in its log line.
    """
    request_id = f"new-{traced.port}"
    httpx.post(f"{traced.url}/predict", json={"text": "new"}, headers={"x-request-id": request_id})

    def own() -> list[Span]:
        return [
            span
            for span in collector.spans
            if request_id in span.attributes.get("request_id", "") and span.service == "sentiment-transformer"
        ]

    until(lambda: bool(own()))
    [span] = own()
    assert span.parent_id == ""
    assert any(span.trace_id in line and request_id in line for line in traced.log.read_text().splitlines())


def test_grpc_call_is_traced(collector: Collector, traced: Service) -> None:
    """
    A call over gRPC is a span like a request over REST.
    """
    trace_id = TRACE[4:] + f"{traced.grpc_port:04x}"[-4:]
    tensor = pb.ModelInferRequest.InferInputTensor(name="text", shape=[1], datatype="BYTES")
    tensor.contents.bytes_contents.append(b"called")
    question = pb.ModelInferRequest(model_name="sentiment", inputs=[tensor])
    metadata = (("traceparent", TRACEPARENT.replace(TRACE, trace_id)),)
    with grpc.insecure_channel(f"127.0.0.1:{traced.grpc_port}") as channel:
        GRPCInferenceServiceStub(channel).ModelInfer(question, metadata=metadata)
    until(lambda: ("sentiment-transformer", MODEL_INFER) in spans_of(collector, trace_id))
    assert spans_of(collector, trace_id)["sentiment-transformer", MODEL_INFER].parent_id == CALLER


def test_probes_are_not_traced(collector: Collector, traced: Service) -> None:
    """
    Probes and scrapes that succeed are no spans.
    """
    httpx.get(f"{traced.url}/metrics")
    httpx.post(f"{traced.url}/predict", json={"text": "after the probe"}, headers={"x-request-id": f"p-{traced.port}"})
    until(lambda: f"p-{traced.port}" in str([span.attributes for span in collector.spans]))
    assert not {name for _, name in collector.names()} & {"/metrics", "/v2/health/ready"}


def test_exemplars(traced: Service) -> None:
    """
    The latency histogram names a trace that took as long, to who reads OpenMetrics.
    """
    httpx.post(f"{traced.url}/predict", json={"text": "exemplary"}, headers={"traceparent": TRACEPARENT})
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    text = httpx.get(f"{traced.url}/metrics", headers=accept).text
    [seconds] = [
        each for each in text_string_to_metric_families(text) if each.name == "sentiment_transformer_request_seconds"
    ]
    traces = {sample.exemplar.labels["trace_id"] for sample in seconds.samples if sample.exemplar}
    assert TRACE in traces


@pytest.mark.parametrize("package", ["predictor", "transformer"])
def test_missing_sdk(package: str) -> None:
    """
    An endpoint for traces without the SDK ends the start with one line that says what to install.
    """
    flags = ["--http_port", "0", "--grpc_port", "0"]
    flags += ["--predictor_host", "127.0.0.1:1"] if package == "transformer" else []
    without = "import runpy, sys; sys.modules['opentelemetry.sdk.trace'] = None"
    code = f"{without}; sys.argv[1:] = {flags}; runpy.run_module('{package}', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry's SDK is missing: install the extra `otel`"
    ]
