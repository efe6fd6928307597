"""
One predictor with its share of a plan's traffic, by events.
"""

import asyncio
import math
from functools import partial
from http import HTTPStatus

import numpy as np

from sizing.cores import Cores, Process, drive
from sizing.figures import Figures
from sizing.outcome import Outcome
from sizing.plan import Plan
from sizing.simulated_predictor import Batching, SimulatedPredictor
from sizing.traffic import Traffic

_REQUESTS = 20_000
_SEED = 7


def simulate(figures: Figures, traffic: Traffic, plan: Plan) -> Outcome:
    """
    Simulate the requests that a replica gets, of those texts that no cache knows.
    """
    return asyncio.run(_simulate(figures, traffic, plan))


async def _simulate(figures: Figures, traffic: Traffic, plan: Plan) -> Outcome:
    # in an event loop because the queue's requests belong to one; nothing is awaited
    chance, count = np.random.default_rng(_SEED), traffic.texts_per_request
    rate = plan.requests_per_second * plan.demand.missing / plan.predictors
    due = np.cumsum(chance.exponential(1 / rate, _REQUESTS))
    texts = _at_least_one(chance, count, plan.demand.sources.predictor)
    lengths = np.split(traffic.tokens(chance, int(texts.sum())), np.cumsum(texts)[:-1])
    cores, outcome = Cores(traffic.limits.predictor_cores), Outcome(float(due[-1]))
    predictor = SimulatedPredictor(cores, figures, Batching(traffic.limits.predictor_cores))

    def ask(tokens: list[int]) -> Process:
        began = cores.now
        if (yield from predictor.classify(tokens)):
            outcome.answered(cores.now - began, texts=len(tokens), hits=0)
        else:
            outcome.others[HTTPStatus.TOO_MANY_REQUESTS] += 1

    for moment, tokens in zip(due.tolist(), lengths, strict=True):
        cores.at(moment, partial(drive, ask(tokens.tolist())))
    cores.run()
    outcome.used = predictor.used()
    return outcome


def _at_least_one(chance: np.random.Generator, count: int, share: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """
    How many of each request's texts must be computed, of requests that have any, (N,).
    """
    odds = np.array([_binomial(count, number, share) for number in range(1, count + 1)])
    return chance.choice(np.arange(1, count + 1), _REQUESTS, p=odds / odds.sum())


def _binomial(count: int, number: int, share: float) -> float:
    return math.comb(count, number) * share**number * (1 - share) ** (count - number)
