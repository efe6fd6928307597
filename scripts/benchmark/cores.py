"""
What a second core brings: threads on shared weights in one process, or processes; and what either does to the loop.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import cast

import numpy as np
import psutil
import uvloop
from numpy.typing import NDArray

from benchmark.engine import sst2_like, text_of
from predictor.artifact import NumericMode, open_artifact
from predictor.batcher import Batcher, Classify
from predictor.classifier import load
from predictor.cores import granted_cores
from serving import logs

SCRIPTS = Path(__file__).resolve().parents[1]
ROUNDS = 4
SECONDS = 3.0
WARM_UP_SECONDS = 1.0
CLIENTS = 8
PROBE_SECONDS = 0.005  # at 1 ms the probe itself takes 8 % of a core


@dataclass(frozen=True)
class Cores:
    """
    One way to use cores, under full compute: a batcher that always has work. The best of its rounds.
    """

    how: str
    texts_per_second: float
    loop_delay_p99_ms: float
    memory_mib: float


def measure(model: Path, numeric_mode: str) -> list[Cores]:
    """
    One thread, as many threads as cores, as many processes: in turn and again, for the machine's pace changes.
    """
    cores = granted_cores()
    rounds = [_round(model, numeric_mode, cores) for _ in range(ROUNDS)]
    return [max(way, key=attrgetter("texts_per_second")) for way in zip(*rounds, strict=True)]


def _round(model: Path, numeric_mode: str, cores: int) -> list[Cores]:
    [one] = _run(model, numeric_mode, threads=1, processes=1)
    [threads] = _run(model, numeric_mode, threads=cores, processes=1)
    parts = _run(model, numeric_mode, threads=1, processes=cores)
    processes = Cores(
        how=f"{cores} processes",
        texts_per_second=sum(part.texts_per_second for part in parts),
        loop_delay_p99_ms=max(part.loop_delay_p99_ms for part in parts),
        memory_mib=sum(part.memory_mib for part in parts),
    )
    return [one, threads, processes]


def all_threads(model: Path, numeric_mode: str, tokens: int) -> float:
    """
    Texts a second of one process on every core, each text of so many tokens.
    """
    return _run(model, numeric_mode, threads=granted_cores(), processes=1, tokens=tokens)[0].texts_per_second


def _run(model: Path, numeric_mode: str, *, threads: int, processes: int, tokens: int = 0) -> list[Cores]:
    command = [sys.executable, "-m", __name__, str(model.resolve()), numeric_mode, str(threads), str(tokens)]
    workers = [subprocess.Popen(command, cwd=SCRIPTS, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return [Cores(**json.loads(worker.communicate()[0].splitlines()[-1])) for worker in workers]


async def _compute(model: Path, numeric_mode: NumericMode, threads: int, tokens: int) -> Cores:
    artifact = open_artifact(model, numeric_mode=numeric_mode)
    texts = [text_of(tokens)] * 32 if tokens else sst2_like(32)
    return await keep_busy(load(artifact, numeric_mode).classify, threads, texts)


async def keep_busy(classify: Classify, threads: int, texts: Sequence[Sequence[int]]) -> Cores:
    """
    Give a batcher over an engine more requests of these texts than it can compute.
    """
    computed: list[int] = []

    def counted(batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        rows = classify(batch)
        computed.append(len(batch))
        return rows

    batcher = Batcher(counted, threads=threads, max_batch_tokens=512, max_queue_tokens=1_000_000, max_wait_seconds=3600)
    batcher.start()

    async def client() -> None:
        while True:
            await batcher.submit(texts)

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await asyncio.sleep(WARM_UP_SECONDS)
    start, before = perf_counter(), sum(computed)
    delays = await _loop_delays(SECONDS)
    rate = (sum(computed) - before) / (perf_counter() - start)
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    await batcher.close()
    memory = psutil.Process().memory_info().rss / 2**20
    return Cores(f"{threads} thread{'s' * (threads > 1)}", rate, quantiles(delays, n=100)[98], memory)


async def _loop_delays(seconds: float) -> list[float]:
    """
    By how many milliseconds the loop is late for a timer, again and again.
    """
    delays, end = [], perf_counter() + seconds
    while (due := perf_counter() + PROBE_SECONDS) < end:
        await asyncio.sleep(PROBE_SECONDS)
        delays.append((perf_counter() - due) * 1e3)
    return delays


if __name__ == "__main__":
    logs.configure("json", "error")
    model, mode, threads, tokens = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(
            json.dumps(asdict(runner.run(_compute(Path(model), cast("NumericMode", mode), int(threads), int(tokens)))))
        )
