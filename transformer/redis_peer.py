"""
Redis, optional at every moment: short deadlines, a breaker, and None instead of errors (DESIGN law 5).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from transformer import redis_url
from transformer.breaker import Breaker
from transformer.metrics import redis_calls

_T = TypeVar("_T")


class RedisPeer:
    """
    Connections to a Redis that may be away.

    Args:
        url: see `transformer.redis_url`.
        timeout_ms: longest wait of one call.
        breaker: opens when Redis does not answer.

    Attributes:
        redis: the client, for calls given to `ask`.
    """

    def __init__(self, url: str, *, timeout_ms: int, breaker: Breaker) -> None:
        self._timeout_seconds = timeout_ms / 1000
        self.breaker = breaker
        # a sentinel's pool refuses where a plain one waits
        self._connections = asyncio.Semaphore(redis_url.MAX_CONNECTIONS)
        self.redis = redis_url.connect(url, timeout_seconds=self._timeout_seconds)

    async def ask(self, operation: str, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """
        What the call returns; None while Redis is away.

        Args:
            operation: what the call is for, for the metric.
        """
        if not self.breaker.allow():
            redis_calls(operation, "skipped").inc()
            return None
        try:
            async with asyncio.timeout(self._timeout_seconds), self._connections:
                result = await call()
        except ResponseError:  # it is there, and will not: its memory is full, it is a replica
            redis_calls(operation, "error").inc()
            self.breaker.succeeded()
            return None
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            redis_calls(operation, "error").inc()
            self.breaker.failed(error)
            return None
        redis_calls(operation, "ok").inc()
        self.breaker.succeeded()
        return result

    async def close(self) -> None:
        """
        Disconnect.
        """
        await redis_url.disconnect(self.redis)
