"""
The service's cache: scores that are known, by the same keys and entries; nothing without a Redis.
"""

from collections.abc import Mapping, Sequence

from redis.exceptions import RedisClusterException, RedisError

from local.supervisor import Failure
from scoring.job import Job
from transformer import redis_url
from transformer.cache import TextCache
from transformer.entry import Row
from transformer.redis_store import RedisStore
from transformer.revision import ModelRevision
from transformer.settings import TransformerSettings

_TIMEOUT_MS = 2000
"""
Nobody waits for one text here, and a busy machine is no reason to compute what is known.
"""

_SLICE = 256
"""
Texts that Redis is asked for at once, a fraction of a millisecond in which it serves nobody else.
"""


class ScoreCache:
    """
    Scores by text, of one model and revision.
    """

    def __init__(self, job: Job) -> None:
        settings = TransformerSettings.from_environment()
        self._revision = ModelRevision(job.revision, job.labels)
        self._store = RedisStore(job.cache_url, timeout_ms=_TIMEOUT_MS)
        self._cache = TextCache(
            job.model_name,
            self._store,
            local_bytes=0,  # `Memory` is of this process
            ttl_seconds=settings.cache_ttl_seconds,
            ttl_jitter=settings.cache_ttl_jitter,
        )

    async def lookup(self, texts: Sequence[str]) -> dict[str, Row]:
        """
        The scores that are known, by text.
        """
        known: dict[str, Row] = {}
        for start in range(0, len(texts), _SLICE):
            known |= await self._cache.lookup(self._revision, texts[start : start + _SLICE])
        return known

    def store(self, rows: Mapping[str, Row]) -> None:
        """
        Keep scores.
        """
        self._cache.store(self._revision, rows)

    async def close(self) -> None:
        """
        Finish what is being stored.
        """
        await self._store.close()


async def check(url: str) -> None:
    """
    See that a Redis is there.

    Raises:
        Failure: it is not.
    """
    redis = None
    try:
        redis = redis_url.connect(url, timeout_seconds=_TIMEOUT_MS / 1000)
        await redis.ping()
    except (ValueError, TypeError, OSError, RedisError, RedisClusterException) as error:
        raise Failure(f"--cache: {error}; is Redis up, and is the URL right?") from None
    finally:
        if redis is not None:
            await redis_url.disconnect(redis)
