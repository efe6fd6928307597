"""
Both levels of the cache, by events: texts are known by their rank.
"""

import math
import random
from typing import Literal

from sizing.hits import Caches

Source = Literal["local", "redis"]


class SimulatedCache:
    """
    Transformers' own caches and the Redis behind them.

    Args:
        chance: decides the jitter.
    """

    def __init__(self, caches: Caches, chance: random.Random) -> None:
        self._caches = caches
        self._chance = chance
        self._redis: dict[int, float] = {}
        self._local: list[dict[int, float]] = [{} for _ in range(caches.replicas)]

    def lookup(self, text: int, now: float, replica: int = 0) -> Source | None:
        """
        Where a text is found, if it is; what Redis knows the transformer then knows too.
        """
        local = self._local[replica]
        expires = local.pop(text, -math.inf)
        if expires > now:
            local[text] = expires  # the last in the dictionary is what was asked for last
            return "local"
        if self._redis.get(text, -math.inf) > now:
            self._keep(text, now, replica)
            return "redis"
        return None

    def store(self, text: int, now: float, replica: int = 0) -> None:
        """
        Keep a text that was computed.
        """
        self._keep(text, now, replica)
        self._redis[text] = now + self._ttl()

    def _keep(self, text: int, now: float, replica: int) -> None:
        local = self._local[replica]
        local[text] = now + self._ttl()
        if len(local) > self._caches.local_entries:
            del local[next(iter(local))]

    def _ttl(self) -> float:
        return self._caches.ttl_seconds * (1 + self._chance.random() * self._caches.ttl_jitter)
