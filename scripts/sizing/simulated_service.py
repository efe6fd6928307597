"""
The whole service by events, on one machine with its client: requests go from thread to thread, which share its cores.
"""

import asyncio
import random
from collections.abc import Generator, Iterator
from functools import partial
from http import HTTPStatus
from itertools import chain

import numpy as np

from sizing.cores import Cores, Process, Then, Thread, Wait, drive
from sizing.figures import Figures
from sizing.hits import Caches
from sizing.outcome import Load, Outcome
from sizing.popularity import draw_ranks
from sizing.simulated_cache import SimulatedCache
from sizing.simulated_predictor import Batching, SimulatedPredictor
from sizing.traffic import Traffic

_CHUNK = 10_000
# A timer of an event loop ends at a whole millisecond.
_TIMER_SECONDS = 1e-3


def simulate(figures: Figures, traffic: Traffic, load: Load, *, seed: int) -> Outcome:
    """
    Simulate a load on a machine with as many cores as that of the figures.
    """
    return asyncio.run(_simulate(figures, traffic, load, seed))


async def _simulate(figures: Figures, traffic: Traffic, load: Load, seed: int) -> Outcome:
    # in an event loop because the queue's requests belong to one; nothing is awaited
    return _Service(figures, traffic, load, seed).run()


def requests(traffic: Traffic, chance: np.random.Generator) -> Iterator[list[int]]:
    """
    Draw the ranks of requests' texts, without end.
    """
    while True:
        ranks = draw_ranks(traffic.zipf_exponent, traffic.vocabulary, chance, _CHUNK * traffic.texts_per_request)
        yield from ranks.reshape(_CHUNK, -1).tolist()


class _Service:
    def __init__(self, figures: Figures, traffic: Traffic, load: Load, seed: int) -> None:
        self._figures = figures
        self._load = load
        self._cores = Cores(figures.cores)
        self._client, self._transformer, self._redis = (Thread(self._cores) for _ in range(3))
        self._predictor = SimulatedPredictor(self._cores, figures, Batching(threads=figures.cores))
        self._chance, numbers = random.Random(seed), np.random.default_rng(seed)  # noqa: S311  # no secret
        self._cache = SimulatedCache(Caches.of(traffic, figures), self._chance)
        self._lengths = traffic.tokens(numbers, traffic.vocabulary).tolist()
        self._requests = requests(traffic, numbers)
        self._flights: dict[int, list[Then]] = {}
        self._outcome = Outcome(load.seconds)

    def run(self) -> Outcome:
        """
        Let all of it happen.
        """
        if self._load.rate is None:
            for _ in range(self._load.clients):
                drive(self._ask_again_and_again())
        else:
            drive(self._arrive(self._load.rate))
        self._cores.run(self._load.warm_up_seconds)
        before = self._used()
        self._cores.run(self._load.end)
        self._outcome.used = {name: seconds - before[name] for name, seconds in self._used().items()}
        self._cores.run()
        return self._outcome

    def _used(self) -> dict[str, float]:
        return {
            "client": self._client.busy_seconds,
            "transformer": self._transformer.busy_seconds,
            "redis": self._redis.busy_seconds,
            **self._predictor.used(),
        }

    def _arrive(self, rate: float) -> Process:
        due = 0.0
        while (due := due + self._chance.expovariate(rate)) < self._load.end:
            yield partial(self._cores.at, due)
            late = self._chance.random() * _TIMER_SECONDS
            self._cores.at(due + late, partial(drive, self._ask(due)))

    def _ask_again_and_again(self) -> Process:
        while self._cores.now < self._load.end:
            yield from self._ask(self._cores.now)

    def _ask(self, due: float) -> Process:
        texts = next(self._requests)
        half = self._figures.client_ms.of(len(texts)) / 2e3
        yield partial(self._client.do, half)
        hits = yield from self._answer(texts)
        yield partial(self._client.do, half)
        if not self._load.counts(due):
            return
        if hits is None:
            self._outcome.others[HTTPStatus.TOO_MANY_REQUESTS] += 1
        else:
            self._outcome.answered(self._cores.now - due, texts=len(texts), hits=hits)

    def _answer(self, texts: list[int]) -> Generator[Wait, None, int | None]:
        """
        What the transformer does.

        Returns:
            how many texts a cache knew; None if the request was refused.
        """
        half = self._figures.hit_ms.of(len(texts)) / 2e3
        yield partial(self._transformer.do, half)
        found = {text: self._cache.lookup(text, self._cores.now) for text in texts}
        asked = [text for text, source in found.items() if source != "local"]
        missing = [text for text, source in found.items() if source is None]
        if asked:
            yield partial(self._redis.do, self._figures.redis_get_ms.of(len(asked)) / 1e3)
            yield partial(self._transformer.do, self._figures.lookup_ms.of(len(asked)) / 1e3)
        if missing and not (yield from self._complete(missing)):
            return None
        yield partial(self._transformer.do, half)
        return sum(found[text] is not None for text in texts)

    def _complete(self, missing: list[int]) -> Generator[Wait, None, bool]:
        """
        Have texts computed, but for those under way, which are waited for.
        """
        joined = [text for text in missing if text in self._flights]
        own = [text for text in missing if text not in self._flights]
        if own and not (yield from self._fly(own)):
            return False
        for text in joined:
            if text in self._flights:
                yield self._flights[text].append
        return True

    def _fly(self, texts: list[int]) -> Generator[Wait, None, bool]:
        """
        Ask the predictor.
        """
        self._flights |= {text: [] for text in texts}
        half = self._figures.miss_ms.of(len(texts)) / 2e3
        yield partial(self._transformer.do, half)
        is_admitted = yield from self._predictor.classify([self._lengths[text] for text in texts])
        yield partial(self._transformer.do, half)
        if is_admitted:
            for text in texts:
                self._cache.store(text, self._cores.now)
            self._redis.do(self._figures.redis_set_ms.of(len(texts)) / 1e3, lambda: None)
        for then in chain.from_iterable([self._flights.pop(text) for text in texts]):
            then()
        return is_admitted
