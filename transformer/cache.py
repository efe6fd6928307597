"""
Answers by text: this process's own cache first, then Redis, one round trip for all that is left.
"""

import random
from collections.abc import Iterable, Mapping

from cachetools import TLRUCache

from transformer import entry
from transformer.entry import Row
from transformer.metrics import LOCAL_CACHE_BYTES, LOCAL_TEXTS, MAX_LOCAL_CACHE_BYTES, REDIS_TEXTS
from transformer.redis_store import RedisStore
from transformer.revision import ModelRevision

# Key and cachetools' book-keeping; and each score in its tuple. Measured with tracemalloc.
ENTRY_BYTES = 900
SCORE_BYTES = 32


class TextCache:
    """
    Rows of scores by text, within one revision.

    Args:
        model_name: part of every key.
        store: the shared level.
        local_bytes: memory of the level in this process.
        ttl_seconds: how long a row is kept, in either level.
        ttl_jitter: share of the TTL added at random.
    """

    def __init__(
        self, model_name: str, store: RedisStore, *, local_bytes: int, ttl_seconds: int, ttl_jitter: float
    ) -> None:
        self._model_name = model_name
        self._store = store
        self._ttl_seconds = ttl_seconds
        self._ttl_jitter = ttl_jitter
        self._local: TLRUCache[str, Row] = TLRUCache(
            maxsize=local_bytes, ttu=lambda _key, _row, now: now + self._ttl(), getsizeof=_size
        )
        LOCAL_CACHE_BYTES.set_function(lambda: self._local.currsize)
        MAX_LOCAL_CACHE_BYTES.set(local_bytes)

    async def lookup(self, revision: ModelRevision, texts: Iterable[str]) -> dict[str, Row]:
        """
        The rows that are known under this revision, by text.
        """
        keys = {text: self._key(revision, text) for text in texts}
        found = {text: row for text, key in keys.items() if (row := self._local.get(key)) is not None}
        LOCAL_TEXTS.inc(len(found))
        missing = [text for text in keys if text not in found]
        values = await self._store.get([keys[text] for text in missing])
        for text, value in zip(missing, values, strict=True):
            row = entry.unpack(keys[text], value, len(revision.labels))
            if row is not None:
                found[text] = self._keep(keys[text], row)
                REDIS_TEXTS.inc()
        return found

    def store(self, revision: ModelRevision, rows: Mapping[str, Row]) -> None:
        """
        Keep rows under the revision that computed them; Redis gets them off the answer's path.
        """
        keyed = {self._key(revision, text): row for text, row in rows.items()}
        for key, row in keyed.items():
            self._keep(key, row)
        self._store.set_later({key: entry.pack(key, row) for key, row in keyed.items()}, ttl_seconds=self._ttl)

    def _key(self, revision: ModelRevision, text: str) -> str:
        return entry.key_of(self._model_name, revision.digest, text)

    def _keep(self, key: str, row: Row) -> Row:
        if _size(row) <= self._local.maxsize:
            self._local[key] = row
        return row

    def _ttl(self) -> int:
        return round(self._ttl_seconds * (1 + random.random() * self._ttl_jitter))  # noqa: S311  # spread, no secret


def _size(row: Row) -> int:
    return ENTRY_BYTES + SCORE_BYTES * len(row)
