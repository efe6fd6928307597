"""
A whole run: look at the input, go on where the last run ended, score, and tell what came of it.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from local.supervisor import Failure
from predictor.artifact import Artifact, ArtifactError, open_artifact
from predictor.settings import PredictorSettings
from scoring import cache, progress, report
from scoring.folder import OutputFolder
from scoring.job import Job, Part
from scoring.lock import locked
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


def run(options: Options) -> Tally:
    """
    Score what is not scored yet.

    Returns:
        what became of all rows, of this run and those before.

    Raises:
        Failure: why not, and what to do about it.
    """
    output = place_of(options.output)
    if output.size is not None:
        raise Failure(f"{output.path} is a file; OUTPUT, the last one named, must be a folder")
    places = find(options.inputs, output)
    settings = PredictorSettings.from_environment()
    artifact = _artifact(settings)
    if options.cache:
        asyncio.run(cache.check(options.cache))
    with progress.shown("reading", "B", sum(place.size or 0 for place in places)) as done:
        corpus = survey(places, options.column, options.part_bytes, done)
    job = _job(options, corpus, output, settings, artifact)
    with locked(output):
        summary = _run(options, job, corpus)
    _tell(summary.text())
    return summary.tally


def _run(options: Options, job: Job, corpus: Corpus) -> Summary:
    folder = OutputFolder(job)
    folder.claim()
    total, todo = Tally(), []
    for part in corpus.parts:
        if tally := folder.finished(part):
            total.add(tally)
        else:
            todo.append(part)
    rows = total.all_rows
    seconds = 0.0
    if todo:
        folder.begin()
        seconds = _score(options, job, corpus, todo, total)
    summary = Summary(job, total, new_rows=total.all_rows - rows, seconds=seconds)
    folder.finish(summary.manifest())
    folder.report.write(report.page(summary).encode())
    return summary


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


def _artifact(settings: PredictorSettings) -> Artifact:
    try:
        return open_artifact(settings.model_dir, numeric_mode=settings.numeric_mode)
    except ArtifactError as error:
        raise Failure(str(error)) from None


def _tell(text: str) -> None:
    try:
        print(f"{text}\n", end="", flush=True)  # at once, for a reader who takes one line and leaves
    except OSError as error:
        # or Python tries again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Failure(f"all is scored, but stdout takes no summary: {error.strerror}; OUTPUT has it") from None


def _job(options: Options, corpus: Corpus, output: Place, settings: PredictorSettings, artifact: Artifact) -> Job:
    becomes_parquet = options.format == "parquet" and corpus.suffix != "parquet"
    if becomes_parquet and (twice := [name for name, count in Counter(corpus.names).items() if count > 1]):
        raise Failure(f"INPUT has several columns '{twice[0]}', of which Parquet takes one; rename the others")
    return Job(
        sources=tuple(corpus.sources),
        suffix=corpus.suffix,
        kinds=corpus.kinds,
        names=tuple(corpus.names),
        column=options.column,
        as_parquet=becomes_parquet or corpus.suffix == "parquet",
        part_bytes=options.part_bytes,
        output=output,
        labels=artifact.labels,
        revision=artifact.revision,
        settings=settings,
        cache_url=options.cache,
        model_name=options.model_name,
    )
