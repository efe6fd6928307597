"""
What requests cost, worked out from short loads of one kind each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from predictor.cores import granted_cores
from sizing.figures import Line
from sizing.popularity import Array


@dataclass(frozen=True)
class Probe:
    """
    What a load of requests of so many texts each used, by name, on average of a request.
    """

    texts: int
    used: dict[str, float]


def costs(hits: Sequence[Probe], lookups: Sequence[Probe], misses: Sequence[Probe]) -> dict[str, Line | float]:
    """
    The costs among the figures, by name.

    Args:
        hits, lookups, misses: loads of texts that the transformer knows, that Redis alone knows, and that nobody does,
            the first of the fewest texts a request and the last of the most.
    """
    return {
        "batch_ms": _batch(misses),
        "handover_ms": _handover_ms(misses[-1]),
        "lock_ms": _lock_ms(misses[0]),
        **_lines(hits, lookups, misses),
    }


def _lines(hits: Sequence[Probe], lookups: Sequence[Probe], misses: Sequence[Probe]) -> dict[str, Line]:
    """
    Who misses has looked up before, and who looks up has done what a hit does.
    """
    hit, lookup, miss = (_of(probes, "transformer") for probes in (hits, lookups, misses))
    get, all_redis = _of(lookups, "redis"), _of(misses, "redis")
    hit_bytes, lookup_bytes, miss_bytes = (_of(probes, "bytes") for probes in (hits, lookups, misses))
    ms = {
        "predictor_ms": _of(misses, "predictor"),
        "hit_ms": hit,
        "lookup_ms": lookup - hit,
        "miss_ms": miss - lookup,
        "redis_get_ms": get,
        "redis_set_ms": all_redis - get,
        "client_ms": _of(hits, "client"),
    }
    sizes = {
        "client_bytes": hit_bytes,
        "lookup_bytes": lookup_bytes - hit_bytes,
        "miss_bytes": miss_bytes - lookup_bytes,
    }
    return {name: _line(1e3 * value) for name, value in ms.items()} | {name: _line(v) for name, v in sizes.items()}


def _of(probes: Sequence[Probe], name: str) -> Array:
    """
    Of a request, and of a text: the line through the probe of the fewest texts and that of the most.
    """
    few, *_, many = probes
    each = (many.used[name] - few.used[name]) / (many.texts - few.texts)
    return np.array([few.used[name] - few.texts * each, each])


def _batch(misses: Sequence[Probe]) -> Line:
    """
    Of a batch, and of a token: least squares of what the loads' computing took, each as good as the other.
    """
    counted = np.array([[probe.used["batches"], probe.used["tokens"]] for probe in misses])
    took = np.array([[probe.used["compute"]] for probe in misses])
    return _line(1e3 * np.linalg.lstsq(counted / took, np.ones(len(misses)))[0])


def _handover_ms(full: Probe) -> float:
    """
    What a thread lacks to compute all the time, though something always waits.
    """
    idle = granted_cores() * full.used["clock"] - full.used["computing"]
    return max(0.0, 1e3 * idle / full.used["batches"])


def _lock_ms(crowd: Probe) -> float:
    """
    What is left of a batch's time, when what it computed and what the event loop did meanwhile is taken away.
    """
    standing_still = crowd.used["computing"] * crowd.used["predictor"] / crowd.used["clock"]
    return max(0.0, 1e3 * (crowd.used["computing"] - standing_still - crowd.used["compute"]) / crowd.used["batches"])


def _line(once_and_each: Array) -> Line:
    once, each = np.maximum(once_and_each, 0.0).tolist()
    return Line(once=once, each=each)
