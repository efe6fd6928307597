"""
A part's way: read → look up → compute → write → book. The same wherever it runs.
"""

import asyncio
from collections.abc import Callable

import numpy as np

from local.supervisor import Failure
from scoring import parquet
from scoring.cache import ScoreCache
from scoring.engine import Engine, TokenIds
from scoring.folder import OutputFolder
from scoring.job import Answer, Job, Part
from scoring.lines import Lines
from scoring.memory import Claim, Memory, Scores
from scoring.places import failures
from scoring.sheet import LineSheet, Sheet
from scoring.survey import form_of
from scoring.tally import Tally
from transformer.entry import Row


class Scorer:
    """
    Scores parts of a job.

    Args:
        threads: batches computed at once.
        computed: told of texts that were computed, batch by batch.
    """

    def __init__(self, job: Job, *, threads: int, computed: Callable[[int], None]) -> None:
        self._job = job
        self._folder = OutputFolder(job)
        self._engine = Engine(job.settings, threads=threads, computed=computed)
        self._cache = ScoreCache(job)
        self._memory = Memory()
        self._turn = asyncio.Event()  # for the next part to claim its texts
        self._turn.set()

    async def close(self) -> None:
        """
        End.
        """
        self._engine.close()
        await self._cache.close()

    async def score(self, part: Part) -> Tally:
        """
        Score a part's rows and book it as finished.

        Parts that are scored or recalled at once must have begun in their order.

        Raises:
            Failure: it cannot be read or written any more.
        """
        sheet, claim = await self._read(part)
        texts = list(claim.places)
        token_ids = dict(zip(texts, await self._engine.encode(texts), strict=True))
        known = await self._cache.lookup(claim.own)
        rows = known | await self._compute([text for text in claim.own if text not in known], token_ids)
        own = np.array([rows[text] for text in claim.own], dtype=np.float32).reshape(-1, len(self._job.labels))
        claim.owner.learn(own)
        found = {
            text: ((await owner.scores())[place], token_ids[text]) for text, (owner, place) in claim.places.items()
        }
        tally = Tally(computed=len(claim.own) - len(known))
        await asyncio.to_thread(self._folder.keep, part, claim.keys, own)
        return await asyncio.to_thread(self._write, part, sheet, found, tally)

    async def recall(self, part: Part) -> None:
        """
        Know what a part that was finished before has computed.

        Raises:
            Failure: it cannot be read any more.
        """
        turn, self._turn = self._turn, (following := asyncio.Event())
        try:
            keys, scores = await asyncio.to_thread(self._folder.computed, part)
            await turn.wait()
            self._memory.recall(keys, scores)
        finally:
            following.set()

    async def _read(self, part: Part) -> tuple[Sheet, Claim]:
        turn, self._turn = self._turn, (following := asyncio.Event())
        try:
            sheet = await asyncio.to_thread(read, self._job, part)
            await turn.wait()
            return sheet, self._memory.claim(list(dict.fromkeys(sheet.texts)))
        finally:
            following.set()

    async def _compute(self, texts: list[str], token_ids: dict[str, TokenIds]) -> dict[str, Row]:
        texts.sort(key=lambda text: len(token_ids[text]))  # equal lengths beside each other compute fastest
        computed = await self._engine.probabilities([token_ids[text] for text in texts])
        rows = dict(zip(texts, map(tuple, computed), strict=True))
        self._cache.store(rows)
        return rows

    def _write(self, part: Part, sheet: Sheet, found: dict[str, tuple[Scores, TokenIds]], tally: Tally) -> Tally:
        answers = {text: self._answer(text, scores, token_ids) for text, (scores, token_ids) in found.items()}
        in_order = [answers[text] for text in sheet.texts]
        for answer in in_order:
            tally.count(answer)
        tally.rejected.update(row.reason for row in sheet.rejected)
        source = self._job.sources[part.source].place.path
        rejected = b"".join(row.to_json(source) for row in sheet.rejected)
        self._folder.book(part, sheet.render(self._job, in_order), rejected, tally)
        return tally

    def _answer(self, text: str, scores: Scores, token_ids: TokenIds) -> Answer:
        # float32's own shortest digits, not those of the double that it becomes
        row = tuple(float(str(score)) for score in scores)
        best = max(range(len(row)), key=row.__getitem__)
        return Answer(self._job.labels[best], row, row[best], self._engine.is_cut(text, token_ids), len(token_ids))


def read(job: Job, part: Part) -> Sheet:
    """
    Read a part's rows.

    Raises:
        Failure: they are not those that were there at first.
    """
    source = job.sources[part.source]
    sheet: Sheet
    if job.suffix == "parquet":
        sheet = parquet.read(source.place, part, job.column)
    else:
        form = form_of(job.suffix, job.column, dict(job.kinds), source.header)
        with source.place.open() as file, failures(source.place.path):
            file.seek(part.start)
            lines = Lines(file, offset=part.start, number=part.line, stop=part.stop)
            sheet = LineSheet(form, list(form.records(lines)))
    source.check()
    if len(sheet.texts) + len(sheet.rejected) != part.rows:
        raise Failure(f"{source.place.path} has changed meanwhile; score it anew, to another OUTPUT")
    return sheet
