"""
Redis, optional at every moment: short deadlines, a breaker, and silence instead of errors (DESIGN law 5).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from transformer.breaker import Breaker

_T = TypeVar("_T")
_MAX_CONNECTIONS = 32
_MAX_PENDING_STORES = 256
_STORE_CHUNK = 256


class RedisStore:
    """
    Bytes by key, kept in Redis while it is there.

    Args:
        url: redis-py's URL; None for no Redis at all.
        timeout_ms: longest wait of one call.
    """

    def __init__(self, url: str | None, *, timeout_ms: int) -> None:
        self._timeout_seconds = timeout_ms / 1000
        self._breaker = Breaker("redis")
        self._pending: set[asyncio.Task[None]] = set()
        self._redis = Redis.from_pool(self._pool(url)) if url else None

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """
        The values, in the keys' order, in one round trip; all None while Redis is away.
        """
        redis = self._redis
        values = await self._guard(lambda: redis.mget(keys)) if redis and keys else None
        return [value if isinstance(value, bytes) else None for value in values or [None] * len(keys)]

    def set_later(self, values: Mapping[str, bytes], *, ttl_seconds: Callable[[], int]) -> None:
        """
        Store values off the answer's path; given up while Redis is away or too many stores wait.
        """
        if not self._redis or not values or len(self._pending) >= _MAX_PENDING_STORES:
            return
        task = asyncio.create_task(self._set(self._redis, values, ttl_seconds))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def close(self) -> None:
        """
        Finish the waiting stores and disconnect.
        """
        await asyncio.gather(*self._pending)
        if self._redis:
            await self._redis.aclose()
            await self._redis.connection_pool.disconnect()

    async def _set(self, redis: Redis, values: Mapping[str, bytes], ttl_seconds: Callable[[], int]) -> None:
        # Building a pipeline takes 9 µs a key on the event loop, so a large one is cut to let others in between.
        items = iter(values.items())
        while chunk := list(islice(items, _STORE_CHUNK)):
            pipeline = redis.pipeline(transaction=False)
            for key, value in chunk:
                pipeline.set(key, value, ex=ttl_seconds())
            await self._guard(pipeline.execute)

    async def _guard(self, call: Callable[[], Awaitable[_T]]) -> _T | None:
        if not self._breaker.allow():
            return None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await call()
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed(error)
            return None
        self._breaker.succeeded()
        return result

    def _pool(self, url: str) -> BlockingConnectionPool:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=self._timeout_seconds,
            socket_timeout=self._timeout_seconds,
            socket_connect_timeout=self._timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
