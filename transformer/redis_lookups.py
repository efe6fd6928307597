"""
Lookups of requests that come together, asked of Redis together.

A command costs redis-py more of the event loop than a key in it does; so those of one turn of the loop share one.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from transformer.redis_peer import RedisPeer

# A larger command keeps the small lookups in it waiting.
_MOST_SHARED_KEYS = 512
Values = list[bytes | None]


class _Lookup(NamedTuple):
    keys: Sequence[str]
    values: asyncio.Future[Values]


class RedisLookups:
    """
    Gathers what is asked for in one turn of the event loop.

    Args:
        peer: asked, with one MGET a hash tag.
    """

    def __init__(self, peer: RedisPeer) -> None:
        self._peer = peer
        self._gathered: dict[str, list[_Lookup]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def get(self, keys: Sequence[str]) -> Values:
        """
        The values, in the keys' order; all None while Redis is away.

        Args:
            keys: at least one, all of one hash tag.
        """
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._ask)
        lookup = _Lookup(keys, asyncio.get_running_loop().create_future())
        self._gathered.setdefault(keys[0].rpartition("}")[0], []).append(lookup)
        return await lookup.values

    def _ask(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for lookups in gathered.values():
            while lookups:
                task = asyncio.create_task(self._answer(_take(lookups)))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    async def _answer(self, lookups: list[_Lookup]) -> None:
        keys = [key for lookup in lookups for key in lookup.keys]
        found: object = None
        try:
            found = await self._peer.ask("get", lambda: self._peer.redis.mget(keys))
        finally:
            # whatever answers at that address may be no Redis
            known = found if isinstance(found, list) and len(found) == len(keys) else [None] * len(keys)
            values = iter(value if isinstance(value, bytes) else None for value in known)
            for lookup in lookups:
                own = list(islice(values, len(lookup.keys)))
                if not lookup.values.done():  # else its request has left
                    lookup.values.set_result(own)


def _take(lookups: list[_Lookup]) -> list[_Lookup]:
    taken = [lookups.pop()]
    size = len(taken[0].keys)
    while lookups and size + len(lookups[-1].keys) <= _MOST_SHARED_KEYS:
        taken.append(lookups.pop())
        size += len(taken[-1].keys)
    return taken
