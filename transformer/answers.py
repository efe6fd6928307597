"""
Texts → answers: what the cache knows, and the predictor for the rest.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from serving import record
from serving.errors import Overloaded
from transformer.cache import TextCache
from transformer.client import Classified, PredictorClient
from transformer.entry import Row
from transformer.flights import Flights
from transformer.revision import ModelRevision, RevisionWatch

Rows = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer to a list of N texts; all rows are of one revision.

    Attributes:
        rows: N rows of L scores, in the texts' order.
        hits: how many of the texts the cache knew.
    """

    revision: ModelRevision
    rows: list[Row]
    hits: int

    @property
    def cache_status(self) -> str:
        """
        `hit` when nothing was computed, `miss` when everything was, else `partial`.
        """
        if self.hits == len(self.rows):
            return "hit"
        return "partial" if self.hits else "miss"


class Answers:
    """
    Answers texts from the cache and the predictor.

    Args:
        max_waiting: most requests that wait for the predictor, so that hits find room while it hangs.
    """

    def __init__(self, cache: TextCache, client: PredictorClient, watch: RevisionWatch, *, max_waiting: int) -> None:
        self._cache = cache
        self._client = client
        self._watch = watch
        self._flights = Flights(self._classify)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def answer(self, texts: list[str], *, fresh: bool) -> Answer:
        """
        Answer N ≥ 0 texts.

        Args:
            fresh: compute everything, and store it.

        Raises:
            ServiceError: what `PredictorClient.classify` raises, when something has to be computed.
            Overloaded: 429, too many requests wait for the predictor.
        """
        deadline = self._client.deadline()
        unique = list(dict.fromkeys(texts))
        revision = await self._watch.current()
        found = {} if fresh or revision is None else await self._cache.lookup(revision, unique)
        record.current().end_phase("cache")
        computed: Rows = {}
        if len(found) < len(unique):
            with self._waits():
                revision, found, computed = await self._complete(revision, unique, found, deadline, join=not fresh)
        elif revision is None:
            revision = (await self._classify([], deadline)).revision
        record.current().end_phase("model")
        rows = found | computed
        return Answer(revision, [rows[text] for text in texts], sum(text in found for text in texts))

    @contextlib.contextmanager
    def _waits(self) -> Iterator[None]:
        if self._waiting >= self._max_waiting:
            raise Overloaded("too many requests wait for the model; try again shortly")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _complete(
        self, revision: ModelRevision | None, texts: list[str], found: Rows, deadline: float, *, join: bool
    ) -> tuple[ModelRevision, Rows, Rows]:
        """
        One revision, and under it the rows that the cache knows and those that were computed.
        """
        missing = [text for text in texts if text not in found]
        flown = await self._flights.compute(missing, deadline=deadline, join=join)
        revisions = {of for of, _ in flown.values()}
        if revision and found:
            revisions.add(revision)
        if len(revisions) == 1:
            return revisions.pop(), found, {text: row for text, (_, row) in flown.items()}
        # One answer has one revision (DESIGN law 2), and several came: by a rollout, or turn by turn with a canary,
        # whose other answers the cache may know as well.
        newest = self._watch.known
        computed = {text: row for text, (of, row) in flown.items() if of == newest}
        rest = [text for text in texts if text not in computed]
        known = await self._cache.lookup(newest, rest) if newest else {}
        if newest and len(known) == len(rest):
            return newest, known, computed
        classified = await self._classify(texts, deadline)
        return classified.revision, {}, dict(zip(texts, classified.rows, strict=True))

    async def _classify(self, texts: list[str], deadline: float) -> Classified:
        asked = monotonic()
        classified = await self._client.classify(texts, deadline=deadline)
        self._watch.observe(classified.revision, asked=asked)
        self._cache.store(classified.revision, dict(zip(texts, classified.rows, strict=True)))
        return classified
