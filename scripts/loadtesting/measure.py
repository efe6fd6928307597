"""
A scenario, from its texts to the run that is kept.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from caching.service import Service
from caching.texts import read
from loadtesting.load import Load
from loadtesting.run import Run
from loadtesting.scenario import ROOT, Scenario
from local import servers
from local.machine import processor
from predictor.cores import granted_cores

_MODEL = "sentiment"
_SST2 = ROOT.parent / "shared" / "data" / "sst2" / "train.tsv"


@dataclass(frozen=True)
class Wish:
    """
    What was asked for on the command line; None where nothing was.
    """

    url: str | None
    duration: str | None
    rate: int | None
    texts: Path | None
    column: str | None


def measure(scenario: Scenario, wish: Wish) -> Run:
    """
    Play a scenario.

    Raises:
        Failure: there is no service, no text, or no k6.
    """
    asked = {name: str(value) for name, value in (("duration", wish.duration), ("rate", wish.rate)) if value}
    with tempfile.TemporaryDirectory(prefix="sentiment-loadtest-") as name:
        folder = Path(name)
        environment = {name.upper(): value for name, value in asked.items()}
        texts = _write_texts(wish, folder / "texts.json")
        if texts:
            environment["TEXTS"] = str(folder / "texts.json")
        load = Load(scenario, environment, folder)
        with _service(wish.url) as (url, processes):
            began = datetime.now().astimezone().isoformat(" ", "seconds")
            metrics = load.run(url, processes)
    return Run(
        scenario=scenario.name,
        about=scenario.about,
        url=wish.url,
        texts=texts or "generated sentences of 1 to 40 words",
        asked=asked,
        began=began,
        processor=processor(),
        cores=granted_cores(),
        metrics=metrics,
        moments=load.recording.moments,
        looks=load.usage.looks,
    )


def _write_texts(wish: Wish, target: Path) -> str | None:
    if wish.texts:
        file, column = wish.texts, wish.column
    elif _SST2.exists():
        file, column = _SST2, "sentence"
    else:
        return None
    texts = list(read(file, column).first_line)
    target.write_text(json.dumps(texts))
    return f"{len(texts):,} different ones of {file.name}"


@contextlib.contextmanager
def _service(url: str | None) -> Iterator[tuple[str, Mapping[str, psutil.Process]]]:
    """
    The service to load, at its URL, with its processes where it is started for this.
    """
    if url:
        Service(url, _MODEL).close()
        yield url.rstrip("/"), {}
        return
    print("… starting Redis, predictor and transformer", file=sys.stderr, flush=True)
    with servers.stack() as stack:
        processes = {
            "transformer": stack.transformer.process,
            "predictor": stack.predictor.process,
            "Redis": stack.redis.process,
        }
        yield f"http://127.0.0.1:{stack.transformer.port}", processes
