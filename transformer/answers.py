"""
Texts → answers: what the cache knows, and the predictor for the rest.
"""

from dataclasses import dataclass

from serving import record
from transformer.cache import TextCache
from transformer.client import Classified, PredictorClient
from transformer.entry import Row
from transformer.revision import ModelRevision, RevisionWatch


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
    """

    def __init__(self, cache: TextCache, client: PredictorClient, watch: RevisionWatch) -> None:
        self._cache = cache
        self._client = client
        self._watch = watch

    async def answer(self, texts: list[str], *, fresh: bool) -> Answer:
        """
        Answer N ≥ 0 texts.

        Args:
            fresh: compute everything, and store it.

        Raises:
            ServiceError: what `PredictorClient.classify` raises, when something has to be computed.
        """
        unique = list(dict.fromkeys(texts))
        revision = await self._watch.current()
        found = {} if fresh or revision is None else await self._cache.lookup(revision, unique)
        record.current().end_phase("cache")
        missing = [text for text in unique if text not in found]
        if revision is None or missing:
            classified = await self._classify(missing)
            if found and classified.revision != revision:
                # The predictor changed under this request: one answer has one revision (DESIGN law 2).
                found, missing = {}, unique
                classified = await self._classify(missing)
            revision = classified.revision
            computed = dict(zip(missing, classified.rows, strict=True))
        else:
            computed = {}
        record.current().end_phase("model")
        rows = found | computed
        return Answer(revision, [rows[text] for text in texts], sum(text in found for text in texts))

    async def _classify(self, texts: list[str]) -> Classified:
        classified = await self._client.classify(texts)
        self._watch.observe(classified.revision)
        self._cache.store(classified.revision, dict(zip(texts, classified.rows, strict=True)))
        return classified
