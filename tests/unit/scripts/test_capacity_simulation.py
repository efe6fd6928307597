"""The simulation, where queueing theory knows what it must find."""

import asyncio
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sizing.cores import Cores, Process, Thread, drive
from sizing.figures import SHIPPED, Figures, Line
from sizing.outcome import PROCESSES, Load, Outcome
from sizing.plan import plan
from sizing.simulated_predictor import Batching, SimulatedPredictor
from sizing.simulated_replica import simulate as simulate_replica
from sizing.simulated_service import simulate
from sizing.traffic import Traffic

FIGURES = Figures.read(SHIPPED)
TRAFFIC = Traffic(vocabulary=5000, ttl_seconds=10)
NOTHING = Line(once=0, each=0)


def test_mean_wait_is_that_of_an_md1_queue() -> None:
    """
    Jobs of equal length that come at random wait as Pollaczek and Khinchine have it.
    """
    seconds, rate, count = 1.0, 0.6, 50_000
    cores, waits = Cores(1), list[float]()
    thread = Thread(cores)

    def job() -> Process:
        came = cores.now
        yield partial(thread.do, seconds)
        waits.append(cores.now - came - seconds)

    for due in np.cumsum(np.random.default_rng(3).exponential(1 / rate, count)).tolist():
        cores.at(due, partial(drive, job()))
    cores.run()
    assert len(waits) == count
    assert np.mean(waits) == pytest.approx(rate * seconds**2 / (2 * (1 - rate * seconds)), rel=0.05)


def test_utilisation_is_rate_by_seconds() -> None:
    """
    A thread is busy for exactly what its jobs take (the utilisation law), however many others want its cores.
    """
    cores = Cores(1)
    threads = [Thread(cores), Thread(cores, weight=0.3)]
    for thread in threads:
        for _ in range(10):
            thread.do(0.5, lambda: None)
    cores.run()
    assert [thread.busy_seconds for thread in threads] == pytest.approx([5, 5])
    assert cores.now == pytest.approx(10)


def test_threads_share_cores_by_weight() -> None:
    """
    Threads get cores by their weights, no thread more than one, and none of the cores idles while one is wanted.
    """
    cores = Cores(2)
    heavy, light, lighter = Thread(cores, 8), Thread(cores, 2), Thread(cores, 1)
    for thread in (heavy, light, lighter):
        thread.do(1e9, lambda: None)
    cores.run(until=3)
    cores.at(3, lambda: None)
    cores.run(until=3)
    assert [each.busy_seconds for each in (heavy, light, lighter)] == pytest.approx([3, 2, 1])


def test_threads_of_one_interpreter_hinder_each_other() -> None:
    """
    Compute threads stand still while their event loop works.
    """
    cores = Cores(3)
    loop = Thread(cores)
    compute = [Thread(cores, behind=loop) for _ in range(2)]
    loop.do(1, lambda: None)
    for thread in compute:
        thread.do(9, lambda: None)
    cores.run()
    assert cores.now == pytest.approx(1 + 9)


def test_batches_wait_for_each_other() -> None:
    """
    A batch that is computed beside another is later by what threads wait for their interpreter, and one alone is not.
    """
    figures = FIGURES.model_copy(update={"predictor_ms": NOTHING, "handover_ms": 2.0, "lock_ms": 3.0})
    batch_seconds = figures.batch_ms.of(32) / 1e3

    async def answered() -> list[float]:
        cores = Cores(2)
        predictor = SimulatedPredictor(cores, figures, Batching(threads=2, max_batch_tokens=32))
        moments: list[float] = []

        def ask() -> Process:
            yield from predictor.classify([32])
            moments.append(cores.now)

        for moment in (0, 1, 1):
            cores.at(moment, partial(drive, ask()))
        cores.run()
        return moments

    alone, first, second = asyncio.run(answered())
    assert alone == pytest.approx(batch_seconds + 2e-3)
    assert first == pytest.approx(1 + batch_seconds + 2e-3)
    assert second == pytest.approx(1 + batch_seconds + 5e-3)


def test_stable_load_is_answered() -> None:
    """
    What the machine can carry is answered at the rate it comes, with the hit ratio that it has on paper.
    """
    rate, seconds = 60.0, 120.0
    outcome = simulate(FIGURES, TRAFFIC, Load(20, seconds, rate=rate), seed=1)
    expected = plan(FIGURES, TRAFFIC, rate).demand
    assert outcome.requests_per_second == pytest.approx(rate, rel=0.03)
    assert outcome.refused == 0
    assert outcome.hit_ratio == pytest.approx(expected.sources.hits, abs=0.015)
    assert outcome.used["transformer"] == pytest.approx(seconds * rate * expected.transformer, rel=0.05)


def test_overloaded_predictor_answers_what_it_can() -> None:
    """
    Beyond its capacity a predictor answers as much as its cores compute in full batches, and refuses the rest.
    """
    alone = FIGURES.model_copy(update={"predictor_ms": NOTHING})
    unseen = Traffic(texts_per_request=1, vocabulary=10**9, zipf_exponent=0, token_quantiles=(32, 32))
    capacity = unseen.limits.predictor_cores * FIGURES.texts_per_second(32)
    planned = plan(alone, unseen, 3 * capacity)
    outcome = simulate_replica(alone, unseen, replace(planned, predictors=1))
    assert outcome.requests_per_second == pytest.approx(capacity, rel=0.03)
    assert outcome.refused == pytest.approx(2 / 3, abs=0.03)


def test_clients_who_wait_get_what_the_machine_has() -> None:
    """
    Clients who ask again at once keep most of the machine busy, never more than all of it, and are all answered.
    """
    outcome = simulate(FIGURES, TRAFFIC, Load(20, 20, clients=16), seed=1)
    assert FIGURES.cores / 2 < outcome.cores <= FIGURES.cores
    assert outcome.refused == 0


def test_flight_carries_who_asks_meanwhile() -> None:
    """
    A text that many ask for at once is computed once.
    """
    one_text = Traffic(texts_per_request=1, vocabulary=1, ttl_seconds=1000)
    outcome = simulate(FIGURES, one_text, Load(0, 5, clients=16), seed=1)
    assert len(outcome.latencies) - outcome.hits == 16
    assert outcome.used["predictor"] == pytest.approx(FIGURES.predictor_ms.of(1) / 1e3)


def test_what_others_took_is_told() -> None:
    """
    What the machine did beside the service and its client was others'.
    """
    played = Outcome(10, used=dict.fromkeys(PROCESSES, 2.0) | {"machine": 2.0 * len(PROCESSES) + 5})
    assert played.foreign_cores == pytest.approx(0.5)
