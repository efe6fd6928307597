"""
Where answers come from, on paper: each transformer's own cache, Redis, a question under way, or the predictor.

Each text is looked at alone, with its own Poisson requests (Che's approximation: Che, Tung and Wang 2002, "Hierarchical
Web Caching Systems"; why it is so good: Fricker, Robert and Roberts 2012, "A Versatile and Accurate Approximation for
LRU Cache Performance"). Under a TTL that hits do not renew a text's life is a renewal process, and its hit ratio is
the share of time that it is there (Jung, Berger and Balakrishnan 2003, "Modeling TTL-based Internet Caches"). A full
cache that forgets what was not asked for longest keeps a text until it was not asked for during the cache's
characteristic time, which is the same for all texts, and such that all that is there just fits.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sizing.figures import MAX_BATCH_TOKENS, Figures
from sizing.popularity import Array, Popularity
from sizing.traffic import Traffic

_STEPS = 200
_LEAST_STEP = 1e-7
_HALVINGS = 60
_LARGEST_POWER = 500.0


@dataclass(frozen=True)
class Caches:
    """
    Two levels: each transformer's own, which a hit in Redis fills as well, and Redis, which holds whatever lives.

    Attributes:
        ttl_jitter: the share of the TTL that is added at random, at most.
        local_entries: how many texts a transformer's own cache holds.
        replicas: transformers, each of which gets its share of the requests at random.
        flight_seconds: how long the predictor takes: who asks meanwhile for the same text waits for that answer.
    """

    ttl_seconds: float
    ttl_jitter: float
    local_entries: float
    replicas: int = 1
    flight_seconds: float = 0.0

    @classmethod
    def of(cls, traffic: Traffic, figures: Figures, *, replicas: int = 1) -> Self:
        """
        Those of a service whose predictor takes about as long as for a full batch.
        """
        entries = traffic.local_cache_bytes / figures.local_entry_bytes
        flight_seconds = figures.batch_ms.of(MAX_BATCH_TOKENS) / 1e3
        return cls(traffic.ttl_seconds, traffic.ttl_jitter, entries, replicas, flight_seconds)

    @property
    def mean_ttl_seconds(self) -> float:
        """
        With what is added at random.
        """
        return self.ttl_seconds * (1 + self.ttl_jitter / 2)


@dataclass(frozen=True)
class Sources:
    """
    Shares of the texts by where their answers come from, and how many texts Redis holds.
    """

    local: float
    redis: float
    flight: float
    predictor: float
    redis_entries: float

    @property
    def hits(self) -> float:
        """
        The hit ratio: what either cache knows.
        """
        return self.local + self.redis


def sources(popularity: Popularity, texts_per_second: float, caches: Caches) -> Sources:
    """
    Where answers come from in the long run.
    """
    rates = popularity.shares * texts_per_second
    held = _Held(rates / caches.replicas, popularity.texts, caches)
    gap = _gap_seconds(rates, held, caches)
    # A text's cycle: it is computed, it is in Redis, and then nobody happens to ask a transformer that lacks it.
    cycle = caches.flight_seconds + caches.mean_ttl_seconds + gap
    in_flight = caches.flight_seconds / cycle
    computed, flight, local = (
        float(np.sum(popularity.texts * each)) / texts_per_second
        for each in (1 / cycle, rates * in_flight, rates * held.share * (1 - in_flight))
    )
    entries = float(np.sum(popularity.texts * caches.mean_ttl_seconds / cycle))
    return Sources(local, max(0.0, 1 - local - flight - computed), flight, computed, entries)


class _Held:
    """
    A transformer's own cache.

    Attributes:
        rates: requests a second of one text of each group, (G,).
        share: of the time that it is there, which is its hit ratio, (G,).
        seconds: that it stays, on average, (G,).
        survival: the chance that it stays for the whole TTL, (G,).
    """

    def __init__(self, rates: Array, texts: Array, caches: Caches) -> None:
        self.rates = rates
        self._ttl = caches.mean_ttl_seconds
        self._stay(self._ttl)
        if float(np.sum(texts * self.share)) <= caches.local_entries:
            return
        low, high = 0.0, self._ttl
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            self._stay(middle)
            low, high = (middle, high) if float(np.sum(texts * self.share)) < caches.local_entries else (low, middle)

    def _stay(self, characteristic: float) -> None:
        """
        A text stays until the TTL, or until it was not asked for during the characteristic time.

        The moment of the second is drawn out exponentially here, with the exact chance that the first such time is one
        of no request, and with the exact mean.
        """
        expected = np.minimum(self.rates * characteristic, _LARGEST_POWER)
        rest = self._ttl - characteristic
        beyond = np.maximum(np.expm1(expected) - expected, expected**2 / 2)
        leaving = self.rates * -np.expm1(-expected) / np.maximum(beyond, np.finfo(float).tiny)
        hits = expected + beyond * -np.expm1(-leaving * rest)
        self.seconds: Array = hits / self.rates
        self.share: Array = hits / (1 + hits)
        self.survival: Array = np.ones_like(hits) if rest <= 0 else -np.expm1(-expected) * np.exp(-leaving * rest)


def _gap_seconds(rates: Array, held: _Held, caches: Caches) -> Array:
    """
    How long a text that Redis has just forgotten is not computed, on average, (G,).

    Until a transformer is asked that does not hold it either. The one that had it computed got it when Redis did, so
    that the jitter decides which of the two forgets it first; a Redis that is second fills it for another TTL. The
    others got it at any time since, independently.

    The mean is the integral of the chance to be still not computed, over steps that are fine where it begins.
    """
    steps = np.concatenate([[0.0], np.geomspace(_LEAST_STEP, 1.0, _STEPS)])
    after = steps * held.seconds[:, None]  # (G, S)
    each = held.rates[:, None]
    rest = caches.replicas - 1
    unasked = np.exp(-each * after)
    others = _others_unasked(unasked, steps, held)
    first = (
        held.survival[:, None] * _first_unasked(unasked, after, each, caches) + (1 - held.survival[:, None]) * others
    )
    chance = first * others**rest
    # beyond the last step nobody holds it any more
    gap: Array = np.trapezoid(chance, after, axis=1) + chance[:, -1] / rates
    return gap


def _others_unasked(unasked: Array, steps: Array, held: _Held) -> Array:
    """
    The chance of a transformer that had nothing to do with it: what it holds, it holds for any rest of its time.
    """
    whole = (held.rates * held.seconds)[:, None]
    holding = (1 - steps) - np.expm1(-whole * steps) / whole
    share = held.share[:, None]
    chance: Array = (1 - share) * unasked + share * holding
    return chance


def _first_unasked(unasked: Array, after: Array, each: Array, caches: Caches) -> Array:
    """
    The chance of the transformer that had the text computed.
    """
    jitter = caches.ttl_jitter * caches.ttl_seconds
    spread = each * jitter
    if jitter == 0:
        return unasked
    # In half of the cases it forgets after Redis, by a third of the jitter on average; else before, and then it is
    # filled again unless nobody asks it until Redis forgets.
    later = np.exp(-each * np.maximum(after - jitter / 3, 0))
    empty = np.where(spread > _LEAST_STEP, 2 / spread + 2 * np.expm1(-spread) / spread**2, 1.0)
    chance: Array = (later + empty * unasked + (1 - empty)) / 2
    return chance
