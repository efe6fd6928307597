"""
What fails around the service, and what its clients see of it: real processes, killed and stopped.
"""

import http.server
import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis as redis_py

from processes import ROOT, Redis, Service, free_port, predictor, transformer, until
from test_predict import PREDICT, ask, new_text
from transformer import entry


@pytest.fixture
def nonsense_port() -> Iterator[int]:
    """
    The port of a server that answers 200 to everything, with no answer in it.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"outputs": []}')

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def keys(redis: Redis) -> list[bytes]:
    """
    All that a Redis holds.
    """
    with redis_py.Redis.from_url(redis.url) as client:
        return sorted(client.scan_iter())


def knows(redis: Redis) -> bool:
    """
    Whether a Redis holds the revision.
    """
    return any(key.endswith(b":revision") for key in keys(redis))


def ask_until(stop: threading.Event, url: str) -> list[int]:
    """
    Ask a mixture of old and new texts until told to stop; every status seen.
    """
    statuses = []
    with httpx.Client(base_url=url, timeout=60) as client:
        while not stop.is_set():
            statuses.append(ask(client, "an old text", new_text()).status_code)
    return statuses


def under_load(url: str, fault: Callable[[], None]) -> list[int]:
    """
    Statuses of four clients that ask before, during and after a fault.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(4) as pool, httpx.Client(base_url=url, timeout=60) as client:
        runs = [pool.submit(ask_until, stop, url) for _ in range(4)]
        try:
            for _ in range(10):
                ask(client, new_text())
            fault()
            for _ in range(10):
                ask(client, new_text())
        finally:
            stop.set()
        return [status for run in runs for status in run.result()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_redis_failing_under_load_gives_no_error_answer(predictor_service: Service, number: signal.Signals) -> None:
    """
    A Redis that is killed, or hangs, while requests run costs no client an error.
    """
    settings = {"REDIS_TIMEOUT_MS": "50"}
    with Redis() as redis, transformer(predictor_service.port, redis, **settings) as service:
        statuses = under_load(service.url, lambda: redis.signal(number))
    assert set(statuses) == {200}


def test_transformer_without_redis_serves_from_its_own_cache(predictor_service: Service) -> None:
    """
    With no Redis at all, answers are still cached, in the process.
    """
    with transformer(predictor_service.port) as service, httpx.Client(base_url=service.url) as client:
        text = new_text()
        assert [ask(client, text).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]


def test_answers_are_shared_through_redis(predictor_service: Service) -> None:
    """
    What one transformer computed is a hit for another, bit for bit.
    """
    with Redis() as redis, transformer(predictor_service.port, redis) as service:
        first = httpx.post(service.url + PREDICT, json={"text": ["shared"]})
        with transformer(predictor_service.port, redis) as other:
            second = httpx.post(other.url + PREDICT, json={"text": ["shared"]})
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert first.json() == second.json()


def test_redis_restarted_empty_is_told_the_revision_again() -> None:
    """
    After Redis came back empty, a fresh transformer still answers hits while the predictor is away.
    """
    port, settings = free_port(), {"REVISION_REFRESH_SECONDS": "0.1"}
    with predictor() as dying, Redis(port) as redis, transformer(dying.port, redis, **settings) as service:
        httpx.post(service.url + PREDICT, json={"text": ["before"]})
        redis.kill()
        with Redis(port) as empty:
            until(lambda: httpx.post(service.url + PREDICT, json={"text": [new_text()]}).is_success and knows(empty))
            known = httpx.post(service.url + PREDICT, json={"text": ["after"]})
            key = entry.key_of("sentiment", known.headers["x-model-revision"], "after").encode()
            until(lambda: key in keys(empty))
            dying.kill()
            with transformer(dying.port, empty) as fresh:
                until(lambda: httpx.post(fresh.url + PREDICT, json={"text": ["after"]}).json() == known.json())


def test_overload_is_refused_at_once_and_hits_are_not() -> None:
    """
    With the queue full, new texts are 429 with `Retry-After` through both services, and cached ones are 200.
    """
    with (
        predictor(MAX_QUEUE_TOKENS="2000") as model,
        transformer(model.port) as service,
        ThreadPoolExecutor(16) as pool,
    ):
        httpx.post(service.url + PREDICT, json={"text": ["cached"]})
        asked = [[f"{new_text()} {index}" for index in range(100)] for _ in range(16)]
        crowd = [pool.submit(httpx.post, service.url + PREDICT, json={"text": texts}, timeout=60) for texts in asked]
        assert httpx.post(service.url + PREDICT, json={"text": ["cached"]}, timeout=60).is_success
        answers = [each.result() for each in crowd]
    refused = [answer for answer in answers if not answer.is_success]
    assert refused
    assert len(refused) < len(answers)
    for answer in refused:
        assert (answer.status_code, answer.json()["error_type"]) == (429, "overloaded")
        assert answer.headers["retry-after"] == "1"


def test_killed_predictor_costs_new_texts_only() -> None:
    """
    With the predictor killed, new texts are 503, cached ones 200, also from a transformer that started since.
    """
    with Redis() as redis, predictor() as dying, transformer(dying.port, redis) as service:
        known = httpx.post(service.url + PREDICT, json={"text": ["known"]})
        dying.kill()
        with transformer(dying.port, redis) as fresh:
            for url in (service.url, fresh.url):
                cached = httpx.post(url + PREDICT, json={"text": ["known"]})
                assert (cached.status_code, cached.json()) == (200, known.json())
                refused = httpx.post(url + PREDICT, json={"text": ["known", "unknown"]})
                assert (refused.status_code, refused.json()["error_type"]) == (503, "unavailable")
                assert refused.headers["retry-after"] == "1"
                assert str(dying.port) not in refused.text
                assert httpx.get(f"{url}/v2/health/ready").is_success


def test_hung_predictor_is_504_within_its_time() -> None:
    """
    A predictor that hangs makes new texts 504 when their time is up, and leaves cached ones at 200.
    """
    with predictor() as hung, transformer(hung.port, PREDICTOR_TIMEOUT_SECONDS="1") as service:
        assert httpx.post(service.url + PREDICT, json={"text": ["known"]}).is_success
        hung.signal(signal.SIGSTOP)
        slow = httpx.post(service.url + PREDICT, json={"text": ["unknown"]})
        assert (slow.status_code, slow.json()["error_type"]) == (504, "timeout")
        assert httpx.post(service.url + PREDICT, json={"text": ["known"]}).is_success


def test_nonsense_from_the_predictor_is_502(nonsense_port: int) -> None:
    """
    An answer of the predictor that is none is 502 and not passed on.
    """
    with transformer(nonsense_port) as service:
        response = httpx.post(service.url + PREDICT, json={"text": ["a"]})
    assert (response.status_code, response.json()["error_type"]) == (502, "upstream")


def test_another_model_is_another_revision(tmp_path: Path) -> None:
    """
    After the predictor came back with another model, no answer of the old one is served.
    """
    other = tmp_path / "other"
    shutil.copytree(ROOT / "models" / "distilbert-sst2-embedded", other)
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {"0": "BAD", "1": "GOOD"}
    (other / "config.json").write_text(json.dumps(config))
    port = free_port()
    with Redis() as redis, transformer(port, redis, REVISION_REFRESH_SECONDS="0.01") as service:
        answers = []
        for environment in ({}, {"MODEL_DIR": str(other)}):
            with predictor(port=port, **environment):
                answers.append(httpx.post(service.url + PREDICT, json={"text": ["I love it"]}))
    assert [answer.headers["x-cache"] for answer in answers] == ["miss", "miss"]
    assert [answer.json()["predictions"][0][0]["label"] for answer in answers] == ["POSITIVE", "GOOD"]
    assert len({answer.headers["x-model-revision"] for answer in answers}) == 2
