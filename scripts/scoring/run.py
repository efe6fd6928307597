"""
A whole run: look at the input, go on where the last run ended, score, and tell what came of it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from local.supervisor import Failure
from predictor.artifact import ArtifactError, open_artifact
from predictor.settings import PredictorSettings
from scoring import cache, progress, report
from scoring.folder import OutputFolder
from scoring.job import Job, Part
from scoring.places import Place, place_of
from scoring.sources import find
from scoring.summary import Summary
from scoring.survey import Corpus, survey
from scoring.tally import Tally


@dataclass(frozen=True)
class Options:
    """
    What the command line asks for; see `scripts/score --help`.
    """

    inputs: Sequence[str]
    output: str
    column: str
    format: str
    part_bytes: int
    cache: str | None
    model_name: str
    ray: str | None


def run(options: Options) -> None:
    """
    Score what is not scored yet.

    Raises:
        Failure: why not, and what to do about it.
    """
    output = place_of(options.output)
    places = find(options.inputs, output)
    with progress.shown("reading", "B", sum(place.size or 0 for place in places)) as done:
        corpus = survey(places, options.column, options.part_bytes, done)
    job = _job(options, corpus, output)
    if options.cache:
        asyncio.run(cache.check(options.cache))
    folder = OutputFolder(job)
    folder.claim()
    total, todo = Tally(), []
    for part in corpus.parts:
        if tally := folder.finished(part):
            total.add(tally)
        else:
            todo.append(part)
    rows = total.all_rows
    seconds = _score(options, job, corpus, todo, total) if todo else 0.0
    summary = Summary(job, total, new_rows=total.all_rows - rows, seconds=seconds)
    folder.finish(summary.manifest())
    folder.report.write(report.page(summary).encode())
    print(summary.text())


def _score(options: Options, job: Job, corpus: Corpus, todo: list[Part], total: Tally) -> float:
    done_before = corpus.rows - sum(part.rows for part in todo)
    with progress.shown("scoring", "rows", corpus.rows, done_before) as done:

        def finished(part: Part, tally: Tally) -> None:
            total.add(tally)
            # texts computed by this process were told one by one
            done(part.rows - (0 if options.ray else tally.computed))

        try:
            if options.ray:
                from scoring import on_ray  # noqa: PLC0415  # Ray may not be installed

                return on_ray.run(job, todo, finished, options.ray)
            from scoring import here  # noqa: PLC0415  # --ray needs no torch here

            unfinished, last = set(todo), todo[-1].number
            parts = [(part, part not in unfinished) for part in corpus.parts if part.number <= last]
            return here.run(job, parts, finished, done)
        except Failure as failure:
            raise Failure(f"{failure}; what is finished stays, and the same command goes on with the rest") from None


def _job(options: Options, corpus: Corpus, output: Place) -> Job:
    settings = PredictorSettings.from_environment()
    try:
        artifact = open_artifact(settings.model_dir, numeric_mode=settings.numeric_mode)
    except ArtifactError as error:
        raise Failure(str(error)) from None
    return Job(
        sources=tuple(corpus.sources),
        suffix=corpus.suffix,
        kinds=corpus.kinds,
        names=tuple(corpus.names),
        column=options.column,
        as_parquet="parquet" in (corpus.suffix, options.format),
        part_bytes=options.part_bytes,
        output=output,
        labels=artifact.labels,
        revision=artifact.revision,
        settings=settings,
        cache_url=options.cache,
        model_name=options.model_name,
    )
