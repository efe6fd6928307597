"""Where answers come from, on paper and by events."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sizing.hits import Caches, Sources, sources
from sizing.popularity import Popularity, draw_ranks
from sizing.simulated_cache import SimulatedCache

RATE = 300.0
CACHES = Caches(ttl_seconds=20, ttl_jitter=0.1, local_entries=1e9)
POINT = 0.01


def on_paper(caches: Caches, *, exponent: float = 1.0, vocabulary: int = 5000) -> Sources:
    """
    Where answers come from.
    """
    return sources(Popularity(exponent, vocabulary), RATE, caches)


def simulated(caches: Caches, *, exponent: float, vocabulary: int) -> Counter[str]:
    """
    Shares of the texts by their source, once the cache has been used for longer than anything stays in it.
    """
    numbers, seconds = np.random.default_rng(1), 12 * caches.ttl_seconds
    count = int(RATE * seconds)
    due = np.cumsum(numbers.exponential(1 / RATE, count)).tolist()
    texts = draw_ranks(exponent, vocabulary, numbers, count).tolist()
    replicas = numbers.integers(caches.replicas, size=count).tolist()
    cache, found = SimulatedCache(caches, random.Random(1)), Counter[str]()
    for now, text, replica in zip(due, texts, replicas, strict=True):
        source = cache.lookup(text, now, replica)
        if source is None:
            cache.store(text, now, replica)
        if now > 3 * caches.ttl_seconds:
            found[source or "predictor"] += 1
    return Counter({name: number / found.total() for name, number in found.items()})


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.3])
@pytest.mark.parametrize(
    "caches",
    [
        CACHES,
        replace(CACHES, ttl_jitter=0.0),
        replace(CACHES, ttl_jitter=0.5),
        replace(CACHES, replicas=4),
        replace(CACHES, local_entries=300),
        replace(CACHES, local_entries=100, replicas=20),
    ],
    ids=["one", "no jitter", "much jitter", "four replicas", "a full cache", "many full caches"],
)
def test_paper_agrees_with_events(caches: Caches, exponent: float) -> None:
    """
    On paper and by events each level answers the same share of the texts, within a point.
    """
    paper = on_paper(caches, exponent=exponent)
    events = simulated(caches, exponent=exponent, vocabulary=5000)
    assert paper.local == pytest.approx(events["local"], abs=POINT)
    assert paper.redis == pytest.approx(events["redis"], abs=POINT)
    assert paper.predictor == pytest.approx(events["predictor"], abs=POINT)


def test_hit_ratio_grows_with_ttl() -> None:
    """
    The longer texts are kept, the more of them are hits.
    """
    ratios = [on_paper(replace(CACHES, ttl_seconds=ttl)).hits for ttl in (1, 10, 100, 1000)]
    assert ratios == sorted(set(ratios))


def test_hit_ratio_falls_with_vocabulary() -> None:
    """
    The more texts there are, the fewer of them are hits.
    """
    ratios = [on_paper(CACHES, vocabulary=texts).hits for texts in (10, 1000, 100_000, 10**9)]
    assert ratios == sorted(set(ratios), reverse=True)


def test_replicas_share_what_redis_knows() -> None:
    """
    More transformers find less in their own caches, and what they lack there they find in Redis.
    """
    found = [on_paper(replace(CACHES, replicas=replicas)) for replicas in (1, 4, 16)]
    assert [each.local for each in found] == sorted((each.local for each in found), reverse=True)
    assert [each.hits for each in found] == pytest.approx([found[0].hits] * 3, abs=POINT)


@pytest.mark.parametrize("flight_seconds", [0.0, 0.1, 5.0])
def test_every_text_has_one_source(flight_seconds: float) -> None:
    """
    The sources' shares sum to one, and the longer the predictor takes, the more texts wait for another's answer.
    """
    found = on_paper(replace(CACHES, flight_seconds=flight_seconds))
    assert found.local + found.redis + found.flight + found.predictor == pytest.approx(1)
    assert (found.flight > 0) == (flight_seconds > 0)


def test_groups_are_all_texts() -> None:
    """
    However many texts there are, their shares sum to one, and each is its rank's by Zipf's law.
    """
    for vocabulary in (1, 1000, 1001, 5000):
        popularity = Popularity(0.8, vocabulary)
        exact = np.arange(1, vocabulary + 1) ** -0.8
        assert float(popularity.texts.sum()) == vocabulary
        assert float(np.sum(popularity.texts * popularity.shares)) == pytest.approx(1)
        assert popularity.shares[0] == pytest.approx(exact[0] / exact.sum(), rel=1e-4)
