"""
The transformer's parts, put together as its settings say.
"""

from argparse import Namespace
from typing import TYPE_CHECKING

from serving.server import Server
from transformer import openapi, routes
from transformer.answers import Answers
from transformer.cache import TextCache
from transformer.client import PredictorClient
from transformer.hop_grpc import GrpcHop
from transformer.hop_rest import RestHop
from transformer.model import SentimentTransformer
from transformer.redis_store import RedisStore
from transformer.revision import RevisionWatch
from transformer.settings import TransformerSettings

if TYPE_CHECKING:
    from transformer.rate_limit import RateLimit


def serve(settings: TransformerSettings, flags: Namespace) -> None:
    """
    Run the transformer until it is told to stop.

    Args:
        flags: of the command line, see `transformer.__main__`.
    """
    name = flags.model_name
    server = Server(
        "sentiment_transformer",
        settings,
        http_port=flags.http_port,
        grpc_port=flags.grpc_port,
        rate_limit=_rate_limit(settings, name),
    )
    model = _model(settings, flags)
    server.start(
        [model],
        document=openapi.build(name),
        routers=[routes.router(model, server.dataplane)],
        fastapi_paths=routes.FASTAPI_PATHS,
    )


def _model(settings: TransformerSettings, flags: Namespace) -> SentimentTransformer:
    name = flags.model_name
    hop = GrpcHop if flags.predictor_protocol == "grpc-v2" else RestHop
    client = PredictorClient(
        hop(flags.predictor_host, use_tls=flags.predictor_use_ssl == "true", model_name=name),
        timeout_seconds=settings.predictor_timeout_seconds,
    )
    store = RedisStore(settings.redis_url, timeout_ms=settings.redis_timeout_ms)
    watch = RevisionWatch(client.revision, store, model_name=name, refresh_seconds=settings.revision_refresh_seconds)
    cache = TextCache(
        name,
        store,
        local_bytes=settings.local_cache_bytes,
        ttl_seconds=settings.cache_ttl_seconds,
        ttl_jitter=settings.cache_ttl_jitter,
    )
    places = settings.max_requests_in_flight
    answers = Answers(cache, client, watch, max_waiting=places - places // 4)
    return SentimentTransformer(name, answers, watch, client, store, max_texts=settings.max_texts)


def _rate_limit(settings: TransformerSettings, model_name: str) -> "RateLimit | None":
    if settings.rate_limit is None or settings.redis_url is None:
        return None
    from transformer.breaker import Breaker  # noqa: PLC0415  # 0.1 s that only a rate limit needs
    from transformer.callers import Callers  # noqa: PLC0415
    from transformer.rate_limit import RateLimit  # noqa: PLC0415
    from transformer.redis_peer import RedisPeer  # noqa: PLC0415

    # its own connections and breaker: a Redis that refuses scripts may still hold answers
    breaker = Breaker("redis_rate_limit")
    peer = RedisPeer(settings.redis_url, timeout_ms=settings.redis_timeout_ms, breaker=breaker)
    callers = Callers(settings.rate_limit_key, settings.trusted_proxies)
    return RateLimit(settings.rate_limit, callers, peer, model_name=model_name)
