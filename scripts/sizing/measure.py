"""
What requests cost on this machine: short loads of one kind each, and the CPU time of each process meanwhile.
"""

import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from redis import Redis

from local import servers
from local.machine import processor
from local.servers import Server, Stack
from local.supervisor import Failure
from predictor.cores import granted_cores
from predictor.settings import EMBEDDED_MODEL
from sizing.figures import MIB, Figures, Line
from sizing.load import play
from sizing.outcome import Load, Outcome
from sizing.popularity import Array
from sizing.texts import Texts
from sizing.traffic import Traffic
from sizing.usage import metrics

_SEED = 1
_KNOWN = 64
_FEW, _MANY = 1, 16
_CLIENTS = 4
# The costs of a request are those of the first and the last, for an event loop finds several requests then when it
# wakes: woken for each alone it takes twice as long. Those between make the smallest batches.
_MISSES = ((_FEW, _CLIENTS), (_FEW, 1), (4, 2), (_MANY, _CLIENTS))
_WARM_UP_SECONDS, _SECONDS = 2.0, 4.0
_FOREIGN_SHARE = 0.1
_PATIENT = {"MAX_WAIT_MS": "60000"}  # nobody is refused, however slow the machine is


@dataclass(frozen=True)
class _Probe:
    """
    What a load of requests of so many texts each used, by name, on average of a request.
    """

    texts: int
    used: dict[str, float]


def progress(what: str) -> None:
    """
    Say what happens now, to whoever waits.
    """
    print(f"… {what}", file=sys.stderr, flush=True)


def tell_of_others(outcome: Outcome) -> None:
    """
    Say so if others on this machine took so much that what was measured meanwhile is worth little.
    """
    if outcome.foreign_cores > _FOREIGN_SHARE * granted_cores():
        progress(f"others took {outcome.foreign_cores:.1f} cores meanwhile; measure again once they are quiet")


def measure(numeric_mode: str) -> Figures:
    """
    Measure everything; nothing else should run meanwhile.
    """
    progress("measuring texts that are known, and new ones: 30 s")
    with servers.stack(**_PATIENT, NUMERIC_MODE=numeric_mode) as stack, Redis.from_url(stack.redis.url) as redis:
        transformer_mib, empty = _mib(stack.transformer), _used_memory(redis)
        hits = [_probe(stack, _known(texts), texts, _CLIENTS) for texts in (_FEW, _MANY)]
        unseen = _texts(_SEED + 1)
        misses = [_probe(stack, _next(unseen, texts), texts, clients) for texts, clients in _MISSES]
        entries = redis.dbsize()
        memory = {
            "redis_entry_bytes": (_used_memory(redis) - empty) / entries,
            "local_entry_bytes": metrics(stack.transformer)["sentiment_transformer_local_cache_bytes"] / entries,
            "transformer_mib": transformer_mib,
            "predictor_mib": _mib(stack.predictor),
        }
    progress("measuring texts that Redis alone knows: 15 s")
    with servers.stack(**_PATIENT, NUMERIC_MODE=numeric_mode, LOCAL_CACHE_BYTES="0") as stack:
        lookups = [_probe(stack, _known(texts), texts, _CLIENTS) for texts in (_FEW, _MANY)]
    return Figures.model_validate(
        {
            "processor": processor(),
            "cores": granted_cores(),
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            "model": EMBEDDED_MODEL.name,
            "numeric_mode": numeric_mode,
            "batch_ms": _batch(misses),
            "handover_ms": _handover_ms(misses[-1]),
            "lock_ms": _lock_ms(misses[0]),
            **_lines(hits, lookups, misses),
            **memory,
        }
    )


def _mib(server: Server) -> float:
    return float(server.process.memory_info().rss) / MIB


def _used_memory(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def _lines(hits: Sequence[_Probe], lookups: Sequence[_Probe], misses: Sequence[_Probe]) -> dict[str, Line]:
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


def _of(probes: Sequence[_Probe], name: str) -> Array:
    """
    Of a request, and of a text: the line through the probe of the fewest texts and that of the most.
    """
    few, *_, many = probes
    each = (many.used[name] - few.used[name]) / (many.texts - few.texts)
    return np.array([few.used[name] - few.texts * each, each])


def _batch(misses: Sequence[_Probe]) -> Line:
    """
    Of a batch, and of a token: least squares of what the loads' computing took, each as good as the other.
    """
    counted = np.array([[probe.used["batches"], probe.used["tokens"]] for probe in misses])
    took = np.array([[probe.used["compute"]] for probe in misses])
    return _line(1e3 * np.linalg.lstsq(counted / took, np.ones(len(misses)))[0])


def _handover_ms(full: _Probe) -> float:
    """
    What a thread lacks to compute all the time, though something always waits.
    """
    idle = granted_cores() * full.used["clock"] - full.used["computing"]
    return max(0.0, 1e3 * idle / full.used["batches"])


def _lock_ms(crowd: _Probe) -> float:
    """
    What is left of a batch's time, when what it computed and what the event loop did meanwhile is taken away.
    """
    standing_still = crowd.used["computing"] * crowd.used["predictor"] / crowd.used["clock"]
    return max(0.0, 1e3 * (crowd.used["computing"] - standing_still - crowd.used["compute"]) / crowd.used["batches"])


def _line(once_and_each: Array) -> Line:
    once, each = np.maximum(once_and_each, 0.0).tolist()
    return Line(once=once, each=each)


def _probe(stack: Stack, requests: Iterator[list[str]], texts: int, clients: int) -> _Probe:
    outcome = play(stack, Load(_WARM_UP_SECONDS, _SECONDS, clients=clients), requests)
    tell_of_others(outcome)
    if outcome.refused:
        raise Failure(f"{outcome.refused:.0%} of what was asked to measure it was not answered; is the machine busy?")
    return _Probe(texts, {name: amount / len(outcome.latencies) for name, amount in outcome.used.items()})


def _known(texts: int) -> Iterator[list[str]]:
    first = list(islice(_texts(_SEED), _KNOWN))
    while True:
        for at in range(0, _KNOWN - texts + 1, texts):
            yield first[at : at + texts]


def _next(unseen: Iterator[str], texts: int) -> Iterator[list[str]]:
    while True:
        yield list(islice(unseen, texts))


def _texts(seed: int) -> Iterator[str]:
    chance, texts, numbers = np.random.default_rng(seed), Texts(seed), count()
    while True:
        for tokens in Traffic().tokens(chance, _KNOWN).tolist():
            yield texts.text(next(numbers), tokens)
