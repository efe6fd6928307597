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

from serving import record
from serving.errors import ServiceError
from transformer import entry, lenient
from transformer.metrics import MODEL_INFO
from transformer.redis_store import RedisStore

_log = structlog.get_logger("revision")
# A slow predictor's answer is still taken in when it comes; only nobody waits so long.
_PATIENCE_SECONDS = 0.25
_REMEMBER_SECONDS = 7 * 24 * 3600
_REMEMBER_PAUSE_SECONDS = 1.0  # longer than a store takes before it is given up


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
        self._key = entry.remembered_key(model_name)
        self._refresh_seconds = refresh_seconds
        self._known: ModelRevision | None = None
        self._asked = -math.inf  # when the question was that the knowledge answers
        self._confirmed = -math.inf  # the same, or when nobody waited longer for it
        self._asking: asyncio.Task[None] | None = None
        self._remembered = -math.inf
        self._remembering: asyncio.TimerHandle | None = None

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
        age = monotonic() - self._confirmed
        if age >= self._refresh_seconds / 2 and self._asking is None:
            self._asking = asyncio.create_task(self._refresh())
        # Under steady traffic the question is answered before the knowledge is too old, and no request waits for it.
        if age >= self._refresh_seconds and self._asking is not None:
            answered, _ = await asyncio.wait([self._asking], timeout=_PATIENCE_SECONDS)
            if not answered:
                await self._do_without()
        return self._known

    def observe(self, revision: ModelRevision, *, asked: float) -> None:
        """
        Take in the revision of a response, unless a later question is answered already.

        Args:
            asked: when its question was, `monotonic()`: a slow answer says who computed it, and not who answers now.
        """
        if asked < self._asked:
            return
        self._asked = asked
        self._confirmed = max(self._confirmed, asked)
        changed = revision != self._known
        if changed:
            _log.info("revision", revision=revision.digest, before=self._known and self._known.digest)
            self._know(revision)
        # again and again: Redis may have lost it since
        if changed or monotonic() - self._remembered >= self._refresh_seconds:
            self._remember()

    def _know(self, revision: ModelRevision) -> None:
        self._known = revision
        MODEL_INFO.info({"revision": revision.digest})

    def _remember(self) -> None:
        # Two stores on their way may arrive in either order, so the next one waits until the last has ended, and then
        # stores what is newest; a canary changes the revision with every other answer.
        pause = self._remembered + _REMEMBER_PAUSE_SECONDS - monotonic()
        if pause <= 0:
            self._remember_now()
        elif self._remembering is None:
            self._remembering = asyncio.get_running_loop().call_later(pause, self._remember_now)

    def _remember_now(self) -> None:
        self._remembering = None
        self._remembered = monotonic()
        if self._known:
            self._store.set_later({self._key: _to_json(self._known)}, ttl_seconds=lambda: _REMEMBER_SECONDS)

    async def _refresh(self) -> None:
        record.begin(None)  # this question's own: the request that happened to begin it may be a hit
        asked = monotonic()
        try:
            self.observe(await self._ask(), asked=asked)
        except ServiceError:
            await self._do_without()
        finally:
            self._asking = None

    async def _do_without(self) -> None:
        """
        Go on with what is known, or remembered, so that nobody waits again before the next refresh.
        """
        self._confirmed = monotonic()
        if self._known is None:
            [remembered] = await self._store.get([self._key])
            told = _from_json(remembered)
            if told and self._known is None:  # a response may have told it meanwhile
                self._know(told)


def _to_json(revision: ModelRevision) -> bytes:
    return orjson.dumps({"revision": revision.digest, "labels": revision.labels})


def _from_json(remembered: bytes | None) -> ModelRevision | None:
    match lenient.loads(remembered or b""):
        case {"revision": str(digest), "labels": [*labels]} if labels and all(isinstance(name, str) for name in labels):
            return ModelRevision(digest, tuple(labels))
        case _:
            return None
