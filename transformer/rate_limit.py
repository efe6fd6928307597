"""
How often one client may come, counted in Redis for all replicas together; without an answer of Redis everybody may.
"""

import math
import time

from limits import parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers

from serving.errors import RateLimited
from transformer.callers import Callers
from transformer.redis_peer import RedisPeer


class RateLimit:
    """
    Counts requests by client.

    A sliding window in Redis's own time: no burst of twice the rate where two windows meet, two short-lived counters a
    client whatever the rate, and one round trip.

    Args:
        rate: in the words of `limits`, like `100/second`.
        callers: who is one client.
        peer: the Redis that counts.
        model_name: part of every key.
    """

    def __init__(self, rate: str, callers: Callers, peer: RedisPeer, *, model_name: str) -> None:
        self._rate = parse(rate)
        self._callers = callers
        self._peer = peer
        storage = RedisStorage(
            "async+redis://",  # of the right kind; the connections are the peer's
            implementation="redispy",
            connection_pool=peer.redis.connection_pool,  # type: ignore[arg-type, union-attr]  # as documented; no cluster
            key_prefix=f"sentiment:{{{model_name}}}:rate",
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def admit(self, headers: Headers, peer: str) -> None:
        """
        Count a request of a client; see `serving.admission.RateLimit`.

        Raises:
            RateLimited: 429, it comes too often.
        """
        name = self._callers.name(headers, peer)
        if await self._peer.ask("rate_limit", lambda: self._limiter.hit(self._rate, name)) is not False:
            return
        raise RateLimited(
            f"more than {self._rate} from one client; send fewer requests, with more texts each",
            retry_after_seconds=await self._wait_seconds(name),
        )

    async def close(self) -> None:
        """
        Disconnect.
        """
        await self._peer.close()

    async def _wait_seconds(self, name: str) -> int:
        stats = await self._peer.ask("rate_limit", lambda: self._limiter.get_window_stats(self._rate, name))
        return max(1, math.ceil(stats.reset_time - time.time())) if stats else 1
