from typing import Any

import aiohttp
import httpx
import pytest

from serving.drain import Drain
from transformer import routes
from transformer.model import SentimentTransformer

from .parts import Predictor, row_of

BOTH = [routes.PREDICT, routes.BULK_PREDICT]


def ranked(text: str) -> list[dict[str, Any]]:
    """
    Every label of a text, best first.
    """
    negative, positive = row_of("r1", text)
    pairs = [{"label": "NEGATIVE", "score": negative}, {"label": "POSITIVE", "score": positive}]
    return sorted(pairs, key=lambda pair: -pair["score"])


@pytest.mark.parametrize("path", BOTH)
async def test_list_has_every_label_of_each_text(http: httpx.AsyncClient, path: str) -> None:
    """
    Both routes answer a list with every label of each text, sorted by score, in the texts' order.
    """
    response = await http.post(path, json={"text": ["b", "a", "b"]})
    assert response.json() == {"predictions": [ranked("b"), ranked("a"), ranked("b")]}


async def test_one_text_has_only_its_top_label(http: httpx.AsyncClient) -> None:
    """
    `/predict` answers one text with its top label alone and the seconds it took.
    """
    body = (await http.post(routes.PREDICT, json={"text": "a"})).json()
    assert body.pop("inference_time") >= 0
    assert body == {"sentiment": ranked("a")[:1]}


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain; charset=utf-8"])
async def test_json_is_json_whatever_it_is_called(http: httpx.AsyncClient, content_type: str | None) -> None:
    """
    The body is read as JSON whatever its Content-Type says, BOM or none.
    """
    headers = {"content-type": content_type} if content_type else {}
    response = await http.post(routes.PREDICT, content=b'\xef\xbb\xbf{"text": ["a"]}', headers=headers)
    assert response.json() == {"predictions": [ranked("a")]}


async def test_headers_tell_where_an_answer_came_from(http: httpx.AsyncClient) -> None:
    """
    Every answer has its request id, revision, phases, and how much of it the cache knew, by position.
    """
    seen = []
    for texts in (["a"], ["a", "b", "a"], ["a", "b"]):
        response = await http.post(routes.BULK_PREDICT, json={"text": texts}, headers={"x-request-id": "id"})
        seen.append((response.headers["x-cache"], response.headers["x-cache-hits"]))
        assert (response.headers["x-request-id"], response.headers["x-model-revision"]) == ("id", "r1")
        phases = [phase.split(";dur=")[0] for phase in response.headers["server-timing"].split(", ")]
        assert phases == ["receive", "parse", "cache", "model", "render"]
    assert seen == [("miss", "0/1"), ("partial", "2/3"), ("hit", "2/2")]


@pytest.mark.parametrize("directive", ["no-cache", "No-Cache", "max-age=0, no-cache"])
async def test_no_cache_computes_and_stores(http: httpx.AsyncClient, predictor: Predictor, directive: str) -> None:
    """
    `Cache-Control: no-cache`, in any case (RFC 9111, 5.2), gets a computed answer, which is then stored.
    """
    for headers, status in ({}, "miss"), ({}, "hit"), ({"cache-control": directive}, "miss"), ({}, "hit"):
        response = await http.post(routes.PREDICT, json={"text": "a"}, headers=headers)
        assert response.headers["x-cache"] == status
    assert predictor.asked == [["a"], ["a"]]


async def test_fresh_answer_serves_the_next_request(http: httpx.AsyncClient, predictor: Predictor) -> None:
    """
    A text first asked for with `no-cache` is a hit afterwards.
    """
    await http.post(routes.PREDICT, json={"text": "a"}, headers={"cache-control": "no-cache"})
    assert (await http.post(routes.PREDICT, json={"text": "a"})).headers["x-cache"] == "hit"
    assert predictor.asked == [["a"]]


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    "body", [b"", b"text=a", b'{"text": null}', b'{"text": [1]}', b'{"text": [["a"]]}', b'{"text": "\\ud800"}', b"[]"]
)
async def test_wrong_request_has_fastapis_shape(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    """
    A wrong request is a 422 with our `error` and `error_type`, and FastAPI's `detail`.
    """
    response = await http.post(path, content=body)
    error = response.json()
    assert (response.status_code, error["error_type"]) == (422, "validation")
    assert [set(item) for item in error["detail"]] == [{"loc", "msg", "type"}]
    assert error["detail"][0]["msg"] == error["error"]


async def test_bulk_takes_no_single_text(http: httpx.AsyncClient) -> None:
    """
    `/project/bulk-predict` refuses what is no list.
    """
    assert (await http.post(routes.BULK_PREDICT, json={"text": "a"})).status_code == 422


@pytest.mark.parametrize("texts", [["a"] * (5), ["a" * 10_000]], ids=["texts", "bytes"])
async def test_too_much_is_a_413(http: httpx.AsyncClient, predictor: Predictor, texts: list[str]) -> None:
    """
    More texts or bytes than the limit are a 413, and nothing of them is computed.
    """
    response = await http.post(routes.PREDICT, json={"text": texts})
    assert (response.status_code, response.json()["error_type"]) == (413, "too_large")
    assert predictor.asked == []


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        (aiohttp.ClientConnectionError("to predictor.internal"), 503, "1"),
        (httpx.Response(504, text="predictor.internal"), 504, None),
        (httpx.Response(500, text="predictor.internal"), 502, None),
        (httpx.Response(200, text="nonsense"), 502, None),
        (httpx.Response(429, json={"error": "queue full", "error_type": "overloaded"}), 429, "1"),
        (httpx.Response(413, json={"error": "too long", "error_type": "too_large"}), 413, None),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
async def test_predictor_fault_reaches_the_client_and_is_not_kept(
    http: httpx.AsyncClient,
    predictor: Predictor,
    fault: httpx.Response | Exception,
    status: int,
    retry_after: str | None,
) -> None:
    """
    A predictor's fault has its status and `Retry-After`, names no host, spares what is cached and is never cached.
    """
    await http.post(routes.PREDICT, json={"text": "known"})
    predictor.fault = fault
    response = await http.post(routes.PREDICT, json={"text": ["known", "a"]})
    assert (response.status_code, response.headers.get("retry-after")) == (status, retry_after)
    assert "predictor.internal" not in response.text
    assert (await http.post(routes.PREDICT, json={"text": "known"})).status_code == 200
    predictor.fault = None
    assert (await http.post(routes.PREDICT, json={"text": "a"})).headers["x-cache"] == "miss"


@pytest.mark.parametrize("path", ["/health", "/project/health"])
async def test_health_is_that_of_this_process(
    http: httpx.AsyncClient, predictor: Predictor, model: SentimentTransformer, drain: Drain, path: str
) -> None:
    """
    200 while this process can answer, predictor or none; 503 while it is draining or not ready.
    """
    predictor.fault = aiohttp.ClientConnectionError()
    response = await http.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "healthy"})
    drain.draining = True
    assert (await http.get(path)).status_code == 503
    drain.draining, model.ready = False, False
    response = await http.get(path)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
