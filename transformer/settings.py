"""
What the transformer is told from outside, and why each default is what it is.
"""

from typing import Annotated

from pydantic import AfterValidator, Field
from redis.asyncio import ConnectionPool

from serving.settings import PositiveInt, Seconds, ServingSettings


def _check_redis_url(url: str) -> str:
    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  # redis-py raises what it likes for an odd parameter
        raise ValueError(f"not a URL that redis-py understands: {error}") from None
    return url


class TransformerSettings(ServingSettings):
    """
    Settings of the transformer; each is the environment variable of the same name in capitals.
    """

    redis_url: Annotated[str, AfterValidator(_check_redis_url)] | None = None
    """
    Redis to share answers through, as redis-py's URL; without one, only this process's own cache is used.
    """

    redis_timeout_ms: PositiveInt = 50
    """
    Longest wait for Redis, milliseconds. A round trip takes under 1 ms; computing a text takes 5 to 20.
    """

    cache_ttl_seconds: PositiveInt = 3600
    """
    How long an answer is kept. Answers of one revision never change, so this bounds memory and not truth.
    """

    cache_ttl_jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    """
    Share of the TTL added at random, so that answers stored together do not expire together.
    """

    local_cache_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """
    Memory of the in-process cache; 0 switches it off. 64 MiB holds about 70,000 texts of two labels, of any length.
    """

    predictor_timeout_seconds: Seconds = 10.0
    """
    Longest wait for the predictor, for a whole request.
    """

    revision_refresh_seconds: Seconds = 5.0
    """
    How old the knowledge of the predictor's revision may be: after a rollout old answers are served for this long.
    """
