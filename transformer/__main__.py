"""
The transformer's composition root: settings → parts → server.
"""

import argparse
import re

from serving import logs
from serving.settings import flag_parser
from transformer.settings import TransformerSettings


def main() -> None:
    """
    Run the transformer until it is told to stop.
    """
    parser = flag_parser("transformer", http_port=8080, grpc_port=8081)
    parser.add_argument("--predictor_host", type=_host, required=True, help="host[:port] of the predictor")
    parser.add_argument("--predictor_use_ssl", action="store_true", help="reach the predictor over TLS")
    flags = parser.parse_args()
    settings = TransformerSettings.from_environment()
    logs.configure(settings.log_format, settings.log_level)

    from serving.server import Server  # noqa: PLC0415  # KServe's import costs a second that --help must not
    from transformer import routes  # noqa: PLC0415
    from transformer.answers import Answers  # noqa: PLC0415
    from transformer.cache import TextCache  # noqa: PLC0415
    from transformer.client import PredictorClient  # noqa: PLC0415
    from transformer.model import SentimentTransformer  # noqa: PLC0415
    from transformer.redis_store import RedisStore  # noqa: PLC0415
    from transformer.revision import RevisionWatch  # noqa: PLC0415

    server = Server(settings, http_port=flags.http_port, grpc_port=flags.grpc_port)
    name = flags.model_name
    client = PredictorClient(
        f"{'https' if flags.predictor_use_ssl else 'http'}://{flags.predictor_host}",
        model_name=name,
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
    model = SentimentTransformer(
        name, Answers(cache, client, watch), watch, client, store, max_texts=settings.max_texts
    )
    server.start([model], routers=[routes.router(model, server.dataplane)], fastapi_paths=routes.FASTAPI_PATHS)


def _host(argument: str) -> str:
    if not re.fullmatch(r"[^/:@\s]+(:\d{1,5})?", argument):
        raise argparse.ArgumentTypeError("must be host or host:port, without a scheme")
    return argument


if __name__ == "__main__":
    main()
