"""
Bytes by key in Redis, while it is there.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from transformer.breaker import Breaker
from transformer.redis_lookups import RedisLookups
from transformer.redis_peer import RedisPeer

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
        self._pending: set[asyncio.Task[None]] = set()
        self._peer = RedisPeer(url, timeout_ms=timeout_ms, breaker=Breaker("redis")) if url else None
        self._lookups = RedisLookups(self._peer) if self._peer else None

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """
        The values, in the keys' order, in one round trip; all None while Redis is away.

        Args:
            keys: all of one hash tag.
        """
        return await self._lookups.get(keys) if self._lookups and keys else [None] * len(keys)

    def set_later(self, values: Mapping[str, bytes], *, ttl_seconds: Callable[[], int]) -> None:
        """
        Store values off the answer's path; given up while Redis is away or too many stores wait.
        """
        if not self._peer or not values or len(self._pending) >= _MAX_PENDING_STORES:
            return
        task = asyncio.create_task(self._set(self._peer, values, ttl_seconds))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def close(self) -> None:
        """
        Finish the waiting stores and disconnect.
        """
        await asyncio.gather(*self._pending)
        if self._peer:
            await self._peer.close()

    async def _set(self, peer: RedisPeer, values: Mapping[str, bytes], ttl_seconds: Callable[[], int]) -> None:
        # Building a pipeline takes 9 µs a key on the event loop, so a large one is cut to let others in between.
        items = iter(values.items())
        while chunk := list(islice(items, _STORE_CHUNK)):
            pipeline = peer.redis.pipeline(transaction=False)
            for key, value in chunk:
                pipeline.set(key, value, ex=ttl_seconds())
            await peer.ask("set", pipeline.execute)
