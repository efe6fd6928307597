"""
The model beside the truth: a load predicted on paper and by simulation, and then played on the real service.

What the prediction knows of this machine was measured by other loads: closed ones, of one kind of request each.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from local import servers
from sizing.comparison import Comparison, compare
from sizing.demand import demand
from sizing.figures import Figures
from sizing.hits import Caches, Sources, sources
from sizing.load import play
from sizing.measure import progress, tell_of_others
from sizing.outcome import Load
from sizing.popularity import Popularity
from sizing.simulated_service import requests, simulate
from sizing.texts import Texts
from sizing.traffic import Traffic

TRAFFIC = Traffic(vocabulary=50_000, ttl_seconds=20)
_WARM_UP_SECONDS = 25.0  # by then all that the cache was first filled with has ended
_SECONDS = 45.0
_TIMES_SIMULATED = 8  # chance moves the p99 of 45 s by 4 %
_CLIENTS = 16
_SEED = 7
_TEXTS_SEED = 1000
_HALVINGS = 40
_HIGHEST_RATE = 1e5


def check(figures: Figures) -> list[Comparison]:
    """
    Predict two loads, and play them: half of what the machine carries, and as much as some clients can ask for.
    """
    half = carried(figures, TRAFFIC) / 2
    loads = {
        f"{half:.0f} requests/s, half of what the machine carries on paper": _load(half),
        f"{_CLIENTS} clients, who ask again once they are answered": _load(None),
    }
    progress("simulating both loads")
    simulated = {
        name: simulate(figures, TRAFFIC, replace(load, seconds=_TIMES_SIMULATED * load.seconds), seed=_SEED)
        for name, load in loads.items()
    }
    comparisons = []
    settings = {"NUMERIC_MODE": figures.numeric_mode, "CACHE_TTL_SECONDS": str(TRAFFIC.ttl_seconds)}
    with servers.stack(**settings) as stack:
        for seed, (name, load) in enumerate(loads.items(), _SEED):
            progress(f"playing {name}: {load.end:.0f} s")
            measured = play(stack, load, _requests(seed))
            tell_of_others(measured)
            hits = _sources(figures, TRAFFIC, load.rate or simulated[name].requests_per_second).hits
            comparisons.append(compare(name, rate=load.rate, hits=hits, simulated=simulated[name], measured=measured))
    return comparisons


def _load(rate: float | None) -> Load:
    return Load(_WARM_UP_SECONDS, _SECONDS, rate=rate, clients=_CLIENTS)


def carried(figures: Figures, traffic: Traffic) -> float:
    """
    Requests a second at which one machine's cores have no time left, on paper.

    The more are asked, the more of them are hits, so that the rate is found by trying.
    """
    low, high = 0.0, _HIGHEST_RATE
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        seconds = demand(figures, traffic, _sources(figures, traffic, rate)).of_machine(figures.cores)
        low, high = (rate, high) if rate * seconds < figures.cores else (low, rate)
    return low


def _sources(figures: Figures, traffic: Traffic, rate: float) -> Sources:
    popularity = Popularity(traffic.zipf_exponent, traffic.vocabulary)
    return sources(popularity, rate * traffic.texts_per_request, Caches.of(traffic, figures))


def _requests(seed: int) -> Iterator[list[str]]:
    chance, texts = np.random.default_rng(seed), Texts(_TEXTS_SEED + seed)
    lengths = TRAFFIC.tokens(chance, TRAFFIC.vocabulary)
    known = [texts.text(rank, tokens) for rank, tokens in enumerate(lengths.tolist())]
    for ranks in requests(TRAFFIC, chance):
        yield [known[rank] for rank in ranks]
