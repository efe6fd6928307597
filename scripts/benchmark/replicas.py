"""
What replicas on Ray cost and bring, beside the engine in this process.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from time import perf_counter

import psutil
import uvloop

from benchmark.cores import ROUNDS, Cores, keep_busy
from benchmark.engine import interleaved, sst2_like, text_of
from predictor.artifact import Artifact, NumericMode, open_artifact
from predictor.batcher import Classify
from predictor.classifier import load
from predictor.cores import granted_cores
from predictor.replicas.link import IN_FLIGHT, Task
from predictor.replicas.plan import Plan
from predictor.replicas.pool import Replicas

REPEATS = 40


@dataclass(frozen=True)
class Way:
    """
    One way to compute under full load, the best of its rounds; `times` is beside another of the ways.
    """

    how: str
    times: float
    texts_per_second: float
    loop_delay_p99_ms: float


@dataclass(frozen=True)
class Figures:
    """
    Milliseconds are medians of interleaved runs: what was computed, by a replica, in process.
    """

    batches_ms: list[tuple[str, float, float]]
    ways: list[Way]
    start_seconds: float
    ray_mib: float
    replica_mib: float
    private_mib: float


def measure(model: Path, numeric_mode: NumericMode) -> Figures:
    """
    Two Rays, with one replica and with one for each core, and the engine in process, all in turn.
    """
    artifact, cores = open_artifact(model, numeric_mode=numeric_mode), granted_cores()
    engine = load(artifact, numeric_mode).classify
    with _running(artifact, numeric_mode, 1) as (one, _), _running(artifact, numeric_mode, cores) as (all_, seconds):
        batches = [("one text of 25 tokens", [text_of(25)]), ("a batch of 20 texts", sst2_like(20))]
        batches_ms = [(what, *_compared(batch, one.classify, engine)) for what, batch in batches]
        rounds = [
            [
                _busy(classify, threads)
                for classify, threads in (
                    (engine, 1),
                    (one.classify, IN_FLIGHT),
                    (engine, cores),
                    (all_.classify, cores * IN_FLIGHT),
                )
            ]
            for _ in range(ROUNDS)
        ]
        memory = _memory()
    alone, replica, threads, replicas = (
        max(way, key=attrgetter("texts_per_second")) for way in zip(*rounds, strict=True)
    )
    ways = [
        _way("one replica, beside one thread in process", replica, alone),
        _way(f"{cores} threads in process, beside one", threads, alone),
        _way(f"{cores} replicas, beside one", replicas, replica),
    ]
    return Figures(batches_ms, ways, seconds, *memory)


@contextlib.contextmanager
def _running(artifact: Artifact, numeric_mode: NumericMode, count: int) -> Iterator[tuple[Replicas, float]]:
    replicas, began = Replicas(Task(Plan(count), artifact, numeric_mode, "console", "warning")), perf_counter()
    try:
        replicas.start()
        yield replicas, perf_counter() - began
    finally:
        replicas.close()


def _compared(batch: Sequence[Sequence[int]], replica: Classify, engine: Classify) -> tuple[float, float]:
    ours, in_process = interleaved(lambda: replica(batch), lambda: engine(batch), repeats=REPEATS)
    return ours, in_process


def _busy(classify: Classify, threads: int) -> Cores:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(keep_busy(classify, threads, sst2_like(32)))


def _way(how: str, way: Cores, other: Cores) -> Way:
    times = way.texts_per_second / other.texts_per_second
    return Way(how, times, way.texts_per_second, way.loop_delay_p99_ms)


def _memory() -> tuple[float, float, float]:
    """
    MiB of one Ray's processes but for the replicas, and of a replica, whole and its own alone; shared pages count once.
    """
    everything = psutil.Process().children(recursive=True)
    replicas = [process.memory_full_info() for process in everything if process.name().startswith("ray::Replica")]
    others = [process.memory_full_info() for process in everything if not process.name().startswith("ray::Replica")]
    rays = len([process for process in everything if process.name() == "raylet"])
    return (
        sum(memory.pss for memory in others) / rays / 2**20,
        max(memory.rss for memory in replicas) / 2**20,
        max(memory.uss for memory in replicas) / 2**20,
    )
