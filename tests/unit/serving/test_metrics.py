import pytest
from prometheus_client import CollectorRegistry

from serving.admission import Admission
from serving.metrics import RequestMetrics
from serving.record import Record


def answered(**phases_ms: float) -> Record:
    """
    A prediction that succeeded.
    """
    return Record("id", route="/predict", status=200, durations_ms=phases_ms)


@pytest.fixture
def metrics(registry: CollectorRegistry) -> RequestMetrics:
    """
    Of a service with room for nine requests.
    """
    return RequestMetrics("s", Admission(max_requests=9, max_body_bytes=90), registry=registry)


def test_phases(metrics: RequestMetrics, registry: CollectorRegistry) -> None:
    """
    The time of an answered request is counted by phase, in seconds.
    """
    metrics.count(answered(parse=1, model=20))
    metrics.count(answered(parse=3))
    sums = {phase: registry.get_sample_value("s_phase_seconds_sum", {"phase": phase}) for phase in ("parse", "model")}
    assert sums == pytest.approx({"parse": 0.004, "model": 0.02})


def test_slow_sender(metrics: RequestMetrics, registry: CollectorRegistry) -> None:
    """
    The time in which a request arrived is the client's, and no part of the request's.
    """
    record = answered(receive=0, parse=1)
    record.started -= 5
    record.durations_ms["receive"] = 4000
    metrics.count(record)
    assert registry.get_sample_value("s_request_seconds_sum", {"protocol": "rest"}) == pytest.approx(1, abs=0.9)


@pytest.mark.parametrize("record", [Record("id", status=200), Record("id", status=429, durations_ms={"receive": 1})])
def test_only_predictions_are_timed(metrics: RequestMetrics, registry: CollectorRegistry, record: Record) -> None:
    """
    Probes and scrapes, refusals and errors are counted, and their times left out: they would hide the others'.
    """
    metrics.count(record)
    assert registry.get_sample_value("s_request_seconds_count", {"protocol": "rest"}) is None
    labels = {"route": "", "protocol": "rest", "status": str(record.status)}
    assert registry.get_sample_value("s_requests_total", labels) == 1


def test_first_fault_counts(metrics: RequestMetrics, registry: CollectorRegistry) -> None:
    """
    The refusals and faults that a prediction may answer are there at 0 before the first, and of other routes none.
    """
    statuses = dict.fromkeys(("200", "400", "429", "503"))
    paths = {"/predict": {"post": {"responses": statuses}}, "/closed": {"post": {"responses": {"429": None}}}}
    metrics.expect({"paths": {**paths, "/health": {"get": {"responses": statuses}}}})
    (requests,) = (family for family in registry.collect() if family.name == "s_requests")
    told = {tuple(sample.labels.values()): sample.value for sample in requests.samples}
    expected = [("/predict", "rest"), ("/inference.GRPCInferenceService/ModelInfer", "grpc")]
    assert told == {(*prediction, status): 0 for prediction in expected for status in ("429", "503")}


def test_in_flight(registry: CollectorRegistry) -> None:
    """
    How many requests are at work, and how many may be, are told as they are when somebody asks.
    """
    admission = Admission(max_requests=9, max_body_bytes=90)
    RequestMetrics("s", admission, registry=registry)
    with admission.place(), admission.place():
        assert registry.get_sample_value("s_requests_in_flight") == 2
    assert registry.get_sample_value("s_requests_in_flight") == 0
    assert registry.get_sample_value("s_max_requests_in_flight") == 9
