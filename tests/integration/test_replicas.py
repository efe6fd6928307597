"""
The predictor's engine as replicas on a real Ray, which are killed one by one and all at once.
"""

import contextlib
import re
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tokenizers import Tokenizer

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.promql import PREDICTOR
from predictor import classifier
from predictor.artifact import open_artifact
from predictor.classifier import linear, weights
from predictor.settings import EMBEDDED_MODEL
from processes import READY_SECONDS, Process, Service, free_port, metric, predictor, until
from test_faults import under_load
from test_predict import PREDICT, new_text

pytest.importorskip("ray", reason="Ray is an extra")

# nobody is to be refused for the load, however slow the machine is
PATIENT = {"PREDICTOR_REPLICAS": "ray:2", "MAX_WAIT_MS": "60000"}
DEADLINE_SECONDS = 10  # of a transformer
TEXT = "a dull film with one fine scene"
BATCHES, READY = "sentiment_predictor_replica_batches_total", "sentiment_predictor_replica_ready"


@pytest.fixture(scope="module")
def replicated() -> Iterator[Service]:
    """
    A predictor with two replicas.
    """
    with predictor(**PATIENT) as service:
        yield service


def family(service: Service) -> list[psutil.Process]:
    """
    All processes that a service has started, and theirs.
    """
    return psutil.Process(service.popen.pid).children(recursive=True)


def named(service: Service, *names: str) -> list[psutil.Process]:
    """
    Those among them with a name that begins like this.
    """
    found = []
    for process in family(service):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name().startswith(names):
                found.append(process)
    return found


def by_replica(service: Service, name: str) -> dict[str, float]:
    """
    A metric's value for each replica.
    """
    families = text_string_to_metric_families(httpx.get(f"{service.url}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.labels["replica"]: sample.value for sample in samples if sample.name == name}


def test_same_bits(replicated: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A replica's scores are those of the engine in process, bit for bit, by one of the linears that it may have chosen.
    """
    artifact = open_artifact(EMBEDDED_MODEL, numeric_mode="fp32")
    ids = Tokenizer.from_file(str(EMBEDDED_MODEL / "tokenizer.json")).encode(TEXT).ids
    possible = []
    for prepare in linear.IMPLEMENTATIONS.values():
        monkeypatch.setattr(weights, "fastest", lambda *_, prepare=prepare: prepare)
        with contextlib.suppress(RuntimeError):  # not every processor has all of them
            possible.append(classifier.load(artifact, "fp32").classify([ids])[0].tolist())
    inputs = [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]
    answer = httpx.post(f"{replicated.url}/v2/models/sentiment/infer", json={"inputs": inputs}).json()
    assert answer["outputs"][0]["data"] in possible
    assert answer["parameters"]["revision"] == artifact.revision


def test_killed_replica_costs_nothing(replicated: Service) -> None:
    """
    A replica that is killed under load costs no request, another takes its place, and both have work.
    """
    before = metric(replicated, "sentiment_predictor_replica_restarts_total")

    def kill() -> None:
        named(replicated, "ray::Replica")[0].kill()
        until(lambda: metric(replicated, "sentiment_predictor_replica_restarts_total") > before)
        known = by_replica(replicated, BATCHES)
        until(lambda: all(count > known[replica] for replica, count in by_replica(replicated, BATCHES).items()))

    assert set(under_load(replicated.url, kill)) == {200}


def test_what_is_watched_is_told(replicated: Service) -> None:
    """
    Whatever a panel or an alert reads of replicas is told of each, by that name.
    """
    panels = [panel for board in BOARDS for row in board.rows if row.needs for panel in row.panels]
    exprs = [query.expr for panel in panels for query in panel.queries]
    exprs += [alert.expr for alert in ALERTS if f"{PREDICTOR}_replica_" in alert.expr]
    names = {name for expr in exprs for name in re.findall(rf"{PREDICTOR}_\w+", expr)}
    assert READY in names
    assert {name: sorted(by_replica(replicated, name)) for name in names} == {name: ["0", "1"] for name in names}


def test_killed_head(replicated: Service) -> None:
    """
    While Ray is gone every request gets its 503 in time and no replica is ready; then all is well again, by itself.
    """
    stop, statuses = threading.Event(), set()

    def ask() -> None:
        with httpx.Client(base_url=replicated.url, timeout=DEADLINE_SECONDS) as http:
            while not stop.is_set():
                statuses.add(http.post(PREDICT, json={"text": [new_text()]}).status_code)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            for process in named(replicated, "gcs_server", "raylet"):
                process.kill()
            until(lambda: not replicated.ready() and by_replica(replicated, READY) == {"0": 0, "1": 0})
            until(lambda: by_replica(replicated, READY) == {"0": 1, "1": 1})
            assert replicated.ready()
        finally:
            stop.set()
        for each in asking:
            each.result()
    assert statuses <= {200, 503}
    assert httpx.post(replicated.url + PREDICT, json={"text": [TEXT]}).is_success


def test_drain() -> None:
    """
    What is being computed at SIGTERM is answered whole, the exit is 0, and nothing of Ray is left.
    """
    texts = [f"text {index}" for index in range(500)]
    with predictor(**PATIENT) as service, ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(httpx.post, service.url + PREDICT, json={"text": texts}, timeout=READY_SECONDS)
        until(lambda: metric(service, "request_preprocess_seconds_count") == 1)
        started = family(service)
        service.signal(signal.SIGTERM)
        assert len(in_flight.result().json()["predictions"]) == len(texts)
        assert service.wait() == 0
        until(lambda: not any(process.is_running() for process in started))
        assert "Traceback" not in service.log.read_text()


def test_no_cluster() -> None:
    """
    Where there is no cluster yet, the predictor waits for one and says so, and ends when it is told to.
    """
    flags = ["--http_port", str(free_port()), "--grpc_port", str(free_port())]
    nowhere = {"PREDICTOR_REPLICAS": f"ray:1@127.0.0.1:{free_port()}"}
    with Process([sys.executable, "-m", "predictor", *flags], nowhere) as process:
        until(lambda: "cannot be reached" in process.log.read_text())
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
