"""The shared Redis and stores on it; the routes, on a transformer whose predictor is a function."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from kserve.model_repository import ModelRepository

from serving.access import AccessMiddleware
from serving.admission import Admission
from serving.body import BodyMiddleware
from serving.dataplane import HonestDataPlane
from serving.drain import Drain
from serving.observer import Observer
from serving.routes import Routes
from transformer import routes
from transformer.answers import Answers
from transformer.cache import TextCache
from transformer.model import SentimentTransformer
from transformer.redis_store import RedisStore
from transformer.revision import RevisionWatch

from .parts import Clock, Predictor, RedisServer


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """
    A Redis that no test stops.
    """
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """
    The shared Redis, empty.
    """
    shared_redis.direct.flushall()
    shared_redis.direct.config_resetstat()
    return shared_redis


@pytest.fixture
def mortal_redis() -> Iterator[RedisServer]:
    """
    A Redis of this test's own, to be hung and killed.
    """
    with RedisServer() as server:
        yield server


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisStore]:
    """
    A store on the shared Redis, patient enough for a noisy machine.
    """
    store = RedisStore(redis_server.url, timeout_ms=10_000)
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    """
    A clock that stands still.
    """
    return Clock()


@pytest.fixture
def predictor() -> Predictor:
    """
    The predictor behind the routes.
    """
    return Predictor("r1")


@pytest.fixture
def drain() -> Drain:
    """
    Whether the process is draining.
    """
    return Drain()


@pytest.fixture
async def model(predictor: Predictor) -> AsyncIterator[SentimentTransformer]:
    """
    The transformer, with a cache in this process alone.
    """
    store, client = RedisStore(None, timeout_ms=50), predictor.client()
    watch = RevisionWatch(client.revision, store, model_name="sentiment", refresh_seconds=3600)
    cache = TextCache("sentiment", store, local_bytes=1_000_000, ttl_seconds=3600, ttl_jitter=0)
    answers = Answers(cache, client, watch, max_waiting=100)
    model = SentimentTransformer("sentiment", answers, watch, client, store, max_texts=4)
    await model.open()
    predictor.asked.clear()
    yield model
    await model.close()


@pytest.fixture
async def http(model: SentimentTransformer, drain: Drain, observer: Observer) -> AsyncIterator[httpx.AsyncClient]:
    """
    A client of the routes, behind the layers that they are served with.
    """
    registry = ModelRepository()
    registry.update(model)
    app = FastAPI()
    admission = Admission(max_requests=9, max_body_bytes=90_000)
    app.add_middleware(BodyMiddleware, max_bytes=10_000, timeout_seconds=60, admission=admission)
    app.add_middleware(
        AccessMiddleware,
        observer=observer,
        routes=Routes(routes.FASTAPI_PATHS),
        fastapi_paths=frozenset(routes.FASTAPI_PATHS),
        drain=drain,
    )
    app.include_router(routes.router(model, HonestDataPlane(registry, drain)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://transformer") as client:
        yield client
