"""
The transformer's composition root: settings → parts → server.
"""

import argparse
import os
import re
from typing import TYPE_CHECKING

from serving import lean_kserve, logs
from serving.settings import flag_parser
from transformer.allocator import give_back_large_blocks
from transformer.settings import TransformerSettings

if TYPE_CHECKING:
    from transformer.rate_limit import RateLimit


def main() -> None:
    """
    Run the transformer until it is told to stop.
    """
    parser = flag_parser("transformer", http_port=8080, grpc_port=8081)
    parser.add_argument("--predictor_host", type=_host, required=True, help="host[:port] of the predictor")
    # with a value, because KServe's import reads the flag too, and ends the process without one
    parser.add_argument(
        "--predictor_use_ssl", choices=["true", "false"], default="false", help="reach the predictor over TLS"
    )
    # REST by default: it reaches several replicas without a gateway, and gRPC has 0.8 times its requests/s (one unseen
    # text each, a predictor that answers at once)
    parser.add_argument(
        "--predictor_protocol",
        choices=["v2", "grpc-v2"],
        default="v2",
        help="Open Inference Protocol over REST or gRPC; --predictor_host names its port (default: %(default)s)",
    )
    flags = parser.parse_args()
    settings = TransformerSettings.from_environment()
    logs.configure(settings.log_format, settings.log_level)
    give_back_large_blocks()
    # libuv's threads look names up, two at once by default: a Redis with a slow name must not hold up the predictor's
    os.environ.setdefault("UV_THREADPOOL_SIZE", "16")
    lean_kserve.import_kserve()

    from serving.server import Server  # noqa: PLC0415  # KServe's import costs a second that --help must not
    from transformer import openapi, routes  # noqa: PLC0415
    from transformer.answers import Answers  # noqa: PLC0415
    from transformer.cache import TextCache  # noqa: PLC0415
    from transformer.client import PredictorClient  # noqa: PLC0415
    from transformer.hop_grpc import GrpcHop  # noqa: PLC0415
    from transformer.hop_rest import RestHop  # noqa: PLC0415
    from transformer.model import SentimentTransformer  # noqa: PLC0415
    from transformer.redis_store import RedisStore  # noqa: PLC0415
    from transformer.revision import RevisionWatch  # noqa: PLC0415

    name = flags.model_name
    server = Server(
        "sentiment_transformer",
        settings,
        http_port=flags.http_port,
        grpc_port=flags.grpc_port,
        rate_limit=_rate_limit(settings, name),
    )
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
    model = SentimentTransformer(name, answers, watch, client, store, max_texts=settings.max_texts)
    server.start(
        [model],
        document=openapi.build(name),
        routers=[routes.router(model, server.dataplane)],
        fastapi_paths=routes.FASTAPI_PATHS,
    )


def _rate_limit(settings: TransformerSettings, model_name: str) -> "RateLimit | None":
    if settings.rate_limit is None or settings.redis_url is None:
        return None
    from transformer.breaker import Breaker  # noqa: PLC0415  # as above; and 0.1 s that only a rate limit needs
    from transformer.callers import Callers  # noqa: PLC0415
    from transformer.rate_limit import RateLimit  # noqa: PLC0415
    from transformer.redis_peer import RedisPeer  # noqa: PLC0415

    # its own connections and breaker: a Redis that refuses scripts may still hold answers
    breaker = Breaker("redis_rate_limit")
    peer = RedisPeer(settings.redis_url, timeout_ms=settings.redis_timeout_ms, breaker=breaker)
    callers = Callers(settings.rate_limit_key, settings.trusted_proxies)
    return RateLimit(settings.rate_limit, callers, peer, model_name=model_name)


def _host(argument: str) -> str:
    if not re.fullmatch(r"[^/:@\s]+(:\d{1,5})?", argument):
        raise argparse.ArgumentTypeError("must be host or host:port, without a scheme")
    return argument


if __name__ == "__main__":
    main()
