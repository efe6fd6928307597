"""
The hop to the predictor over REST and gRPC, between real processes: what arrives, and what fails.
"""

import contextlib
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
import trustme

import test_predict
from fake_predictor import FakePredictor, Proxy
from processes import Service, free_port, predictor, until
from test_life import run
from test_predict import PREDICT, ask, best, new_text

PROTOCOLS = ["v2", "grpc-v2"]


def over(protocol: str, port: int, *flags: str, **env: str) -> Service:
    """
    A transformer in front of a predictor's port for this protocol, patient enough for a machine that stalls.
    """
    env = {"PREDICTOR_TIMEOUT_SECONDS": "60"} | env
    hop = ["--predictor_host", f"127.0.0.1:{port}", "--predictor_protocol", protocol]
    return Service("transformer", *hop, *flags, **env)


def port_of(service: Service, protocol: str) -> int:
    """
    A predictor's port for this protocol.
    """
    return service.port if protocol == "v2" else service.grpc_port


def post(service: Service, *texts: str) -> httpx.Response:
    """
    Ask for texts.
    """
    return httpx.post(service.url + PREDICT, json={"text": texts}, timeout=60)


@contextlib.contextmanager
def nobody_on(port: int) -> Iterator[None]:
    """
    Keep a port from whoever else looks for a free one: nothing listens there, and connections are refused.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        yield


def count(service: Service, *parts: str) -> int:
    """
    How many lines of a service's log hold all these parts.
    """
    return sum(all(part in line for part in parts) for line in service.log.read_text().splitlines())


@pytest.fixture(scope="module")
def both(predictor_service: Service) -> Iterator[list[httpx.Client]]:
    """
    Clients of two transformers in front of one predictor, over REST and over gRPC.
    """
    with (
        over("v2", predictor_service.port) as rest,
        over("grpc-v2", predictor_service.grpc_port) as grpc,
        httpx.Client(base_url=rest.url, timeout=60) as rest_client,
        httpx.Client(base_url=grpc.url, timeout=60) as grpc_client,
    ):
        yield [rest_client, grpc_client]


TEXTS = {
    "none": [],
    "one": ["I love it"],
    "the same twice": ["I hate it", "I hate it"],
    "any script": ["", " ", "Ünï©ode 漢字 \U0001f600", "nul \0 and \n", "e\u0301", "\u202eright to left"],
    "a megabyte and more": ["a long text " * 250_000],
    "as many as there may be": [f"{index}" for index in range(4096)],
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_answers_are_those_of_rest(both: list[httpx.Client], texts: list[str]) -> None:
    """
    Whatever is asked, the answer over gRPC is that over REST, with the same revision.
    """
    rest, grpc = (ask(client, *texts) for client in both)
    assert rest.is_success
    assert grpc.is_success
    assert grpc.headers["x-model-revision"] == rest.headers["x-model-revision"]
    assert best(grpc) == best(rest)
    for mine, theirs in zip(grpc.json()["predictions"], rest.json()["predictions"], strict=True):
        assert [pair["score"] for pair in mine] == pytest.approx([pair["score"] for pair in theirs], abs=1e-5)


@pytest.mark.parametrize(
    "law",
    [
        test_predict.test_first_answer_computes_second_hits_and_mixture_is_partial,
        test_predict.test_prediction_carries_the_headers_of_the_contract,
        test_predict.test_thousand_texts_are_answered_in_order,
        test_predict.test_no_cache_asks_the_model_again_and_stores,
        test_predict.test_empty_list_is_a_valid_question,
        test_predict.test_older_clients_get_the_answers_they_know,
    ],
    ids=lambda law: law.__name__.removeprefix("test_"),
)
def test_laws_of_answers_hold_over_grpc(both: list[httpx.Client], law: Callable[[httpx.Client], None]) -> None:
    """
    What holds for answers over REST holds for them over gRPC.
    """
    law(both[1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_request_id_reaches_the_predictor(predictor_service: Service, both: list[httpx.Client], protocol: str) -> None:
    """
    The predictor's log knows a request by the client's own id.
    """
    request_id = f"id-{random.random()}"
    ask(both[PROTOCOLS.index(protocol)], new_text(), **{"x-request-id": request_id})
    until(lambda: count(predictor_service, f'"{request_id}"') == 1)


def test_refusals_are_those_of_rest() -> None:
    """
    A predictor's refusal has the same status and type over either protocol, and the same words where they are its own.
    """
    with predictor(MAX_TEXTS="2", MAX_BODY_BYTES="5000") as model:
        answers = []
        for protocol in PROTOCOLS:
            port = port_of(model, protocol)
            with over(protocol, port) as service, over(protocol, port, "--model_name", "other") as other:
                unknown = httpx.post(f"{other.url}/v1/models/other:predict", json={"text": ["a"]})
                answers.append([unknown, post(service, "a", "b", "c"), post(service, "a" * 100_000)])
    rest, grpc = answers
    assert [answer.status_code for answer in grpc] == [answer.status_code for answer in rest] == [404, 413, 413]
    assert [answer.json()["error_type"] for answer in grpc] == ["not_found", "too_large", "too_large"]
    assert [answer.json() for answer in grpc[:2]] == [answer.json() for answer in rest[:2]]


def test_overload_is_429_over_grpc() -> None:
    """
    A predictor whose queue is full is a 429 with `Retry-After` and REST's type, however RESOURCE_EXHAUSTED is one code.
    """
    with (
        predictor(MAX_QUEUE_TOKENS="2000") as model,
        over("grpc-v2", model.grpc_port) as service,
        ThreadPoolExecutor(16) as pool,
    ):
        crowd = [[f"{new_text()} {index}" for index in range(100)] for _ in range(16)]
        answers = list(pool.map(lambda texts: post(service, *texts), crowd))
    refused = [answer for answer in answers if not answer.is_success]
    assert refused
    assert len(refused) < len(answers)
    for answer in refused:
        assert (answer.status_code, answer.json()["error_type"]) == (429, "overloaded")
        assert answer.headers["retry-after"] == "1"


def test_client_that_leaves_is_cancelled_at_the_predictor() -> None:
    """
    When a client gives up, the call over gRPC is cancelled at the predictor.
    """
    with predictor() as model, over("grpc-v2", model.grpc_port) as service:
        texts = ["a long text of many words " * 90 + str(index) for index in range(1500)]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(service.url + PREDICT, json={"text": texts}, timeout=1)
        until(lambda: count(model, "ModelInfer", '"status": 499') == 1)
        assert post(service, "next").is_success


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dead_predictor_is_left_alone_and_found_again(protocol: str) -> None:
    """
    A killed predictor costs new texts a 503 and old ones nothing until it is back, and the log says each once.
    """
    with predictor() as model, over(protocol, port_of(model, protocol)) as service:
        known = post(service, "known")
        model.kill()
        with nobody_on(port_of(model, protocol)):
            for _ in range(20):
                refused = post(service, new_text())
                assert (refused.status_code, refused.json()["error_type"]) == (503, "unavailable")
                assert "127.0.0.1" not in refused.text
                assert post(service, "known").json() == known.json()
            assert count(service, "breaker open", '"predictor"') == 1
        with copy(model):
            until(lambda: post(service, new_text()).is_success)
            assert [post(service, new_text()).status_code for _ in range(20)] == [200] * 20
        assert count(service, "breaker closed", '"predictor"') == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dead_predictor_gets_few_connections(protocol: str) -> None:
    """
    However many clients ask for new texts, a predictor that is away sees a few connections, and then one a second.
    """
    with Proxy(free_port()) as proxy, over(protocol, proxy.port) as service, ThreadPoolExecutor(8) as pool:
        began = monotonic()
        answers = list(pool.map(lambda _: post(service, new_text()), range(100)))
        assert {answer.status_code for answer in answers} == {503}
        # the first eight at once, twice each, and what came before
        assert proxy.accepted <= 30 + 2 * (monotonic() - began)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_stopped_predictor_is_left_alone_and_found_again(protocol: str) -> None:
    """
    While a predictor hangs, new texts are 504, soon 503, and old ones 200; when it goes on, new ones are answered.
    """
    with predictor() as model:
        settings = {"PREDICTOR_TIMEOUT_SECONDS": "0.5"}
        with over(protocol, port_of(model, protocol), **settings) as service:
            until(lambda: post(service, "known").is_success)
            opened = count(service, "breaker open", '"predictor"')
            model.signal(signal.SIGSTOP)
            statuses = [post(service, new_text()).status_code for _ in range(6)]
            assert statuses[0] == 504
            assert 503 in statuses
            assert set(statuses) == {503, 504}
            assert post(service, "known").is_success
            model.signal(signal.SIGCONT)
            until(lambda: post(service, new_text()).is_success)
            assert count(service, "breaker open", '"predictor"') == opened + 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_question_that_was_sent_is_not_sent_again(protocol: str) -> None:
    """
    A connection that breaks after the question went out is a 503, and the predictor was asked once.
    """
    with (
        FakePredictor() as fake,
        Proxy(fake.ports[protocol]) as proxy,
        over(protocol, proxy.port, REVISION_REFRESH_SECONDS="3600") as service,
    ):
        assert post(service, "known").is_success

        def cut(texts: list[str]) -> Any:
            proxy.cut()
            return "fake", [(0.25, 0.75)] * len(texts)

        fake.answer = cut
        assert post(service, "lost").status_code == 503
        assert fake.asked == [["known"], ["lost"]]


def test_no_answer_belongs_to_another_question() -> None:
    """
    An answer that came unasked is no question's: whoever gets it has a 502, and the next one the right answer.
    """
    rows = {"loved": (0.25, 0.75), "hated": (0.75, 0.25)}
    with (
        FakePredictor(lambda texts: ("fake", [rows[text] for text in texts])) as fake,
        Proxy(fake.ports["v2"]) as proxy,
        over("v2", proxy.port, REVISION_REFRESH_SECONDS="3600") as service,
    ):
        assert best(post(service, "loved")) == ["POSITIVE"]
        proxy.repeat()
        answers = [post(service, "hated") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 200, 200]
    assert answers[0].json()["error_type"] == "upstream"
    assert [best(answer) for answer in answers[1:]] == [["NEGATIVE"]] * 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_time_is_the_requests_and_not_the_questions(protocol: str) -> None:
    """
    A request that has to ask twice, since another revision answered, ends when its time is over, not twice as late.
    """

    def slow(texts: list[str]) -> Any:
        is_new = "unknown" in texts
        if is_new:
            threading.Event().wait(0.7)
        return "new" if is_new else "old", [(0.25, 0.75)] * len(texts)

    settings = {"PREDICTOR_TIMEOUT_SECONDS": "1", "REVISION_REFRESH_SECONDS": "3600"}
    with FakePredictor(slow) as fake, over(protocol, fake.ports[protocol], **settings) as service:
        assert post(service, "known").is_success
        answer = post(service, "known", "unknown")
        assert (answer.status_code, answer.json()["error_type"]) == (504, "timeout")
        assert fake.asked == [["known"], ["unknown"], ["known", "unknown"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_canary_gives_whole_answers_and_hits(protocol: str) -> None:
    """
    With two revisions answering at random, each answer's scores are all of the revision it names, and some are hits.
    """
    revisions = [("stable", (0.25, 0.75)), ("canary", (0.75, 0.25))]

    def answer(texts: list[str]) -> Any:
        revision, row = random.choice(revisions)  # by turns, the second question of each request may get the same one
        return revision, [row] * len(texts)

    def asks(_: int) -> httpx.Response:
        return post(service, *random.sample([str(number) for number in range(60)], 5))

    with FakePredictor(answer) as fake, over(protocol, fake.ports[protocol]) as service, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(asks, range(200)))
    best_labels = {"stable": "POSITIVE", "canary": "NEGATIVE"}
    for each in answers:
        assert best(each) == [best_labels[each.headers["x-model-revision"]]] * 5
    assert {each.headers["x-model-revision"] for each in answers} == {"stable", "canary"}
    assert any(each.headers["x-cache"] == "hit" for each in answers)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_needs_a_certificate_that_is_trusted(protocol: str, tmp_path: Path) -> None:
    """
    With `--predictor_use_ssl true` a predictor that `SSL_CERT_FILE` vouches for is asked over TLS, another is a 503.
    """
    authority = trustme.CA()
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    flags = ("--predictor_use_ssl", "true")
    with FakePredictor(certificate=authority.issue_cert("127.0.0.1")) as fake:
        with over(protocol, fake.ports[protocol], *flags, SSL_CERT_FILE=str(roots)) as service:
            assert post(service, "a").is_success
        with over(protocol, fake.ports[protocol], *flags) as service:
            assert post(service, "a").status_code == 503
    assert fake.asked == [["a"]]


@pytest.mark.parametrize("protocol", ["v1", "grpc", ""])
def test_protocol_that_is_not_spoken_ends_the_start(protocol: str) -> None:
    """
    A protocol other than the two is refused in a line that names the flag and those two.
    """
    result = run("transformer", "--predictor_host", "x", "--predictor_protocol", protocol)
    line = result.stderr.splitlines()[-1]
    assert result.returncode != 0
    assert "--predictor_protocol" in line
    assert "grpc-v2" in line
    assert "Traceback" not in result.stderr
