"""
Which revision of the model answers now (DESIGN law 3).

Cached answers are found under the revision learnt last. It is learnt from every response of the predictor, asked for
when the knowledge is older than the refresh, and remembered in Redis, so that a fresh transformer can answer hits
while the predictor is down. Asking only when a request needs it lets an idle predictor scale to zero.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

import orjson
import structlog

from serving.errors import ServiceError
from transformer import lenient
from transformer.redis_store import RedisStore

_log = structlog.get_logger("revision")
_ASK_TIMEOUT_SECONDS = 0.25
_REMEMBER_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class ModelRevision:
    """
    What answers belong to.

    Attributes:
        digest: the predictor's own name for it.
        labels: label names in the order of a row's scores.
    """

    digest: str
    labels: tuple[str, ...]


class RevisionWatch:
    """
    Knows the predictor's revision.

    Args:
        ask: asks the predictor; raises `ServiceError` when it cannot answer.
        store: where it is remembered.
        model_name: whose revision.
        refresh_seconds: how old the knowledge may be.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[ModelRevision]], store: RedisStore, *, model_name: str, refresh_seconds: float
    ) -> None:
        self._ask = ask
        self._store = store
        self._key = f"sentiment:{{{model_name}}}:revision"
        self._refresh_seconds = refresh_seconds
        self._known: ModelRevision | None = None
        self._asked = -math.inf  # when the knowledge was last confirmed, or could not be
        self._remembered = -math.inf
        self._asking: asyncio.Task[None] | None = None

    @property
    def known(self) -> ModelRevision | None:
        """
        The revision learnt last, however old.
        """
        return self._known

    async def current(self) -> ModelRevision | None:
        """
        The revision to look answers up under; None when nobody could tell yet.
        """
        age = monotonic() - self._asked
        if age >= self._refresh_seconds / 2 and self._asking is None:
            self._asking = asyncio.create_task(self._refresh())
        # Under steady traffic the question is answered before the knowledge is too old, and no request waits for it.
        if age >= self._refresh_seconds and self._asking is not None:
            await asyncio.shield(self._asking)
        return self._known

    def observe(self, revision: ModelRevision) -> None:
        """
        Take in the revision of a response.
        """
        self._asked = monotonic()
        changed = revision != self._known
        if changed:
            _log.info("revision", revision=revision.digest, before=self._known and self._known.digest)
            self._known = revision
        # again and again: Redis may have lost it since
        if changed or self._asked - self._remembered >= self._refresh_seconds:
            self._remembered = self._asked
            self._store.set_later({self._key: _to_json(revision)}, ttl_seconds=lambda: _REMEMBER_SECONDS)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_SECONDS):
                self.observe(await self._ask())
        except (ServiceError, TimeoutError):
            self._asked = monotonic()
            if self._known is None:
                [remembered] = await self._store.get([self._key])
                # a response may have told the revision meanwhile
                self._known = self._known or _from_json(remembered)
        finally:
            self._asking = None


def _to_json(revision: ModelRevision) -> bytes:
    return orjson.dumps({"revision": revision.digest, "labels": revision.labels})


def _from_json(remembered: bytes | None) -> ModelRevision | None:
    match lenient.loads(remembered or b""):
        case {"revision": str(digest), "labels": [*labels]} if labels and all(isinstance(name, str) for name in labels):
            return ModelRevision(digest, tuple(labels))
        case _:
            return None
