"""
A part's way: read → look up → compute → write → book. The same wherever it runs.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from local.supervisor import Failure
from scoring import parquet
from scoring.cache import ScoreCache
from scoring.engine import Engine, TokenIds
from scoring.folder import OutputFolder
from scoring.job import Answer, Job, Part
from scoring.lines import Lines
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
        self._flights: dict[str, asyncio.Task[dict[str, Row]]] = {}

    async def close(self) -> None:
        """
        End.
        """
        self._engine.close()
        await self._cache.close()

    async def score(self, part: Part) -> Tally:
        """
        Score a part's rows and book it as finished.

        Raises:
            Failure: it cannot be read or written any more.
        """
        sheet = await asyncio.to_thread(read, self._job, part)
        texts = list(dict.fromkeys(sheet.texts))
        token_ids = dict(zip(texts, await self._engine.encode(texts), strict=True))
        rows = await self._cache.lookup(texts)
        unknown = [text for text in texts if text not in rows]
        own = [text for text in unknown if text not in self._flights]
        rows |= await self._compute(unknown, own, token_ids)
        return await asyncio.to_thread(self._write, part, sheet, rows, token_ids, len(own))

    async def _compute(self, texts: Sequence[str], own: list[str], token_ids: dict[str, TokenIds]) -> dict[str, Row]:
        """
        Compute a part's own texts; the others are computed just now for another part, and waited for.
        """
        flights = {self._flights[text] for text in texts if text in self._flights}
        flights.add(flight := asyncio.create_task(self._fly(own, token_ids)))
        self._flights |= dict.fromkeys(own, flight)
        try:
            computed = {text: row for each in flights for text, row in (await each).items()}
        finally:
            for text in own:
                del self._flights[text]
        return {text: computed[text] for text in texts}

    async def _fly(self, texts: list[str], token_ids: dict[str, TokenIds]) -> dict[str, Row]:
        texts.sort(key=lambda text: len(token_ids[text]))  # equal lengths beside each other compute fastest
        computed = await self._engine.probabilities([token_ids[text] for text in texts])
        rows = dict(zip(texts, map(tuple, computed), strict=True))
        self._cache.store(rows)
        return rows

    def _write(
        self, part: Part, sheet: Sheet, rows: dict[str, Row], token_ids: dict[str, TokenIds], computed: int
    ) -> Tally:
        answers = {text: self._answer(text, row, token_ids[text]) for text, row in rows.items()}
        in_order = [answers[text] for text in sheet.texts]
        tally = Tally(computed=computed)
        for answer in in_order:
            tally.count(answer)
        tally.rejected.update(row.reason for row in sheet.rejected)
        source = self._job.sources[part.source].place.path
        rejected = b"".join(row.to_json(source) for row in sheet.rejected)
        self._folder.book(part, sheet.render(self._job, in_order), rejected, tally)
        return tally

    def _answer(self, text: str, row: Row, token_ids: TokenIds) -> Answer:
        best = max(range(len(row)), key=row.__getitem__)
        # float32's own shortest digits, not those of the double that it becomes
        scores = tuple(float(str(np.float32(score))) for score in row)
        return Answer(self._job.labels[best], scores, max(scores), self._engine.is_cut(text, token_ids), len(token_ids))


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
    if len(sheet.texts) + len(sheet.rejected) != part.rows:
        raise Failure(f"{source.place.path} has changed meanwhile; score it anew, to another OUTPUT")
    return sheet
