import socket

import httpx
from prometheus_client import REGISTRY

from transformer import routes
from transformer.redis_store import RedisStore

from .parts import LABELS


def value(name: str, **labels: str) -> float:
    """
    What the transformer tells of itself now.
    """
    return REGISTRY.get_sample_value(f"sentiment_transformer_{name}", labels) or 0.0


async def test_scores(http: httpx.AsyncClient) -> None:
    """
    Every text that is answered counts by its best label, as often as it was asked for, cached or not.
    """
    before = [value("score_count", label=label) for label in LABELS]
    for _ in range(2):
        best = (await http.post(routes.PREDICT, json={"text": ["a", "b", "b"]})).json()["predictions"]
    counted = {label: value("score_count", label=label) - was for label, was in zip(LABELS, before, strict=True)}
    assert counted == {label: 2 * sum(pairs[0]["label"] == label for pairs in best) for label in LABELS}
    assert sum(counted.values()) == 6


async def test_redis_calls() -> None:
    """
    A call of Redis counts as an error while it is tried, and as skipped while Redis is left alone.
    """
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    results = ("ok", "error", "skipped")
    before = [value("redis_calls_total", operation="get", result=result) for result in results]
    store = RedisStore(f"redis://127.0.0.1:{port}/0", timeout_ms=1000)
    for _ in range(5):
        await store.get(["key"])
    await store.close()
    after = [value("redis_calls_total", operation="get", result=result) for result in results]
    assert [now - was for now, was in zip(after, before, strict=True)] == [0, 3, 2]


async def test_revision(http: httpx.AsyncClient) -> None:
    """
    The revision that is looked up is told, and no other.
    """
    await http.post(routes.PREDICT, json={"text": "a"})
    (family,) = (family for family in REGISTRY.collect() if family.name == "sentiment_transformer_model")
    assert [sample.labels for sample in family.samples] == [{"revision": "r1"}]
