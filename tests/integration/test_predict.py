"""
What a client sees of the live services, over HTTP.
"""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from processes import Service

PREDICT = "/v1/models/sentiment:predict"
BULK = "/project/bulk-predict"
REFUSALS = json.loads((Path(__file__).parents[1] / "contract" / "golden" / "refusals.json").read_text())


def ask(client: httpx.Client, *texts: str, path: str = PREDICT, **headers: str) -> httpx.Response:
    """
    Send texts as `curl -d` would: with no word about JSON.
    """
    return client.post(path, content=json.dumps({"text": texts}), headers=headers)


def best(response: httpx.Response) -> list[str]:
    """
    The first label of each text.
    """
    return [pairs[0]["label"] for pairs in response.json()["predictions"]]


def new_text() -> str:
    """
    A text that no test asked before.
    """
    return f"never asked before {random.random()}"


def test_first_answer_computes_second_hits_and_mixture_is_partial(client: httpx.Client) -> None:
    """
    The same texts are computed once, and a request with an old and a new one computes the new one only.
    """
    old = [f"I hate you. {random.random()}", f"I love you. {random.random()}"]
    first, second, mixed = ask(client, *old), ask(client, *old), ask(client, old[1], new_text())
    assert best(first) == ["NEGATIVE", "POSITIVE"]
    assert first.json() == second.json()
    assert mixed.json()["predictions"][0] == first.json()["predictions"][1]
    assert [r.headers["x-cache"] for r in (first, second, mixed)] == ["miss", "hit", "partial"]
    assert [r.headers["x-cache-hits"] for r in (first, second, mixed)] == ["0/2", "2/2", "1/2"]


def test_prediction_carries_the_headers_of_the_contract(client: httpx.Client) -> None:
    """
    Every prediction names its request, its revision, its cache status and its phases.
    """
    response = ask(client, "fine", **{"x-request-id": "mine-1"})
    assert response.headers["x-request-id"] == "mine-1"
    assert len(response.headers["x-model-revision"]) == 16
    assert [part.split(";")[0].strip() for part in response.headers["server-timing"].split(",")] == [
        "receive",
        "parse",
        "cache",
        "model",
        "render",
    ]


def test_thousand_texts_are_answered_in_order(client: httpx.Client) -> None:
    """
    A thousand texts in one request come back in their order, each with the answer it has alone.
    """
    texts = [f"{random.choice(['awful', 'lovely', 'it is a film'])} {random.random()}" for _ in range(1000)]
    answers = ask(client, *texts).json()["predictions"]
    assert len(answers) == len(texts)
    assert [pairs[0]["label"] for text, pairs in zip(texts, answers, strict=True) if text.startswith("awful")] == [
        "NEGATIVE"
    ] * sum(text.startswith("awful") for text in texts)
    for index in random.sample(range(1000), 5):
        alone = ask(client, texts[index], **{"cache-control": "no-cache"}).json()["predictions"][0]
        assert [pair["label"] for pair in alone] == [pair["label"] for pair in answers[index]]
        assert [pair["score"] for pair in alone] == pytest.approx([p["score"] for p in answers[index]], abs=1e-5)


def test_no_cache_asks_the_model_again_and_stores(client: httpx.Client) -> None:
    """
    `Cache-Control: no-cache` computes a known text afresh, and stores what it computed.
    """
    text = new_text()
    statuses = [
        ask(client, text, **headers).headers["x-cache"] for headers in ({"cache-control": "no-cache"},) * 2 + ({},)
    ]
    assert statuses == ["miss", "miss", "hit"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-8"},
    ],
)
@pytest.mark.parametrize("path", [PREDICT, BULK, "/predict"])
def test_json_is_json_whatever_the_content_type_says(client: httpx.Client, path: str, headers: dict[str, str]) -> None:
    """
    A JSON body is understood with any Content-Type or none, on every route.
    """
    assert best(ask(client, "I love it", path=path, **headers)) == ["POSITIVE"]


def test_gzip_and_byte_order_mark_are_understood(client: httpx.Client) -> None:
    """
    A gzip body and a UTF-8 byte order mark change nothing about the answer.
    """
    body = json.dumps({"text": "I love it"}).encode()
    packed = client.post(PREDICT, content=gzip.compress(body), headers={"content-encoding": "gzip"})
    marked = client.post(PREDICT, content=b"\xef\xbb\xbf" + body)
    assert best(packed) == best(marked) == ["POSITIVE"]


def test_older_clients_get_the_answers_they_know(client: httpx.Client) -> None:
    """
    `/predict` answers one text with its top label, `/health` and `/project/health` say healthy.
    """
    answer = client.post("/predict", json={"text": "I love it"}).json()
    assert list(answer) == ["sentiment", "inference_time"]
    assert [pair["label"] for pair in answer["sentiment"]] == ["POSITIVE"]
    for path in ("/health", "/project/health"):
        assert client.get(path).json() == {"status": "healthy"}


def test_empty_list_is_a_valid_question(client: httpx.Client) -> None:
    """
    No texts get no predictions, on every route that takes lists.
    """
    for path in (PREDICT, BULK, "/predict"):
        response = ask(client, path=path)
        assert (response.status_code, response.json()) == (200, {"predictions": []})


def test_predictor_answers_without_the_transformer(predictor_service: Service) -> None:
    """
    A client of the predictor alone gets the same v1 answers, and its revision among the model's versions.
    """
    with httpx.Client(base_url=predictor_service.url) as direct:
        response = ask(direct, "I love it")
        metadata = direct.get("/v2/models/sentiment").json()
    assert best(response) == ["POSITIVE"]
    assert metadata["versions"] == [response.headers["x-model-revision"]]


@pytest.mark.parametrize("case", REFUSALS["both"], ids=lambda case: case["body"])
@pytest.mark.parametrize("service", ["predictor_service", "transformer_service"])
def test_v1_refusals_have_the_golden_words(request: pytest.FixtureRequest, service: str, case: dict[str, Any]) -> None:
    """
    Both services refuse a wrong v1 body with the contract's status and the same words.
    """
    response = httpx.post(request.getfixturevalue(service).url + PREDICT, content=case["body"])
    assert response.status_code == case["status"]
    assert response.json() == {"error": case["error"], "error_type": case["error_type"]}


@pytest.mark.parametrize(
    ("path", "case"),
    [
        (path, case)
        for path in ("/predict", BULK)
        for case in REFUSALS["fastapi_style"]
        if case.get("path", path) == path
    ],
    ids=str,
)
def test_older_routes_refuse_as_fastapi_does(client: httpx.Client, path: str, case: dict[str, Any]) -> None:
    """
    The older routes refuse a wrong body with 422, the contract's words, and FastAPI's `detail`.
    """
    response = client.post(path, content=case["body"])
    assert response.status_code == case["status"]
    detail = {"loc": case["loc"], "msg": case["error"], "type": case["type"]}
    assert response.json() == {"error": case["error"], "error_type": case["error_type"], "detail": [detail]}


@pytest.mark.parametrize("path", [PREDICT, BULK, "/predict"])
def test_too_large_is_413_and_the_connection_lives_on(client: httpx.Client, path: str) -> None:
    """
    A body of 5 MiB, as sent or as inflated, and a text too many are 413, and the next request is served.
    """
    large = json.dumps({"text": ["a" * 5 * 1024 * 1024]}).encode()
    for content, headers in (
        (large, {}),
        (gzip.compress(large), {"content-encoding": "gzip"}),
        (json.dumps({"text": ["a"] * 4097}).encode(), {}),
    ):
        response = client.post(path, content=content, headers=headers)
        assert (response.status_code, response.json()["error_type"]) == (413, "too_large")
    assert ask(client, "fine", path=path).is_success


@pytest.mark.parametrize(
    ("method", "path", "status", "error_type"),
    [
        ("POST", "/v1/models/other:predict", 404, "not_found"),
        ("POST", "/v2/models/sentiment/versions/other/infer", 404, "not_found"),
        ("GET", "/v2/models/sentiment/versions/other", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", PREDICT, 405, "method"),
        ("DELETE", "/predict", 405, "method"),
        ("POST", "/v2/repository/models/sentiment/unload", 403, "forbidden"),
        ("POST", "/v1/models/sentiment:explain", 404, "not_found"),
    ],
)
def test_wrong_addresses_have_the_contracts_status(
    client: httpx.Client, method: str, path: str, status: int, error_type: str
) -> None:
    """
    An unknown model, version or route, a wrong method and a closed route have one shape and their own status.
    """
    response = client.request(method, path, content=None if method == "GET" else '{"text": "a"}')
    assert (response.status_code, response.json()["error_type"]) == (status, error_type)
