"""
What requests cost on this machine: short loads of one kind each, and the CPU time of each process meanwhile.
"""

import datetime as dt
import sys
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
from redis import Redis

from local import servers
from local.machine import processor
from local.servers import Server, Stack
from local.supervisor import Failure
from predictor.cores import granted_cores
from predictor.settings import EMBEDDED_MODEL
from sizing.costs import Probe, costs
from sizing.figures import MIB, Figures
from sizing.load import play
from sizing.outcome import Load, Outcome
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
            **costs(hits, lookups, misses),
            **memory,
        }
    )


def _mib(server: Server) -> float:
    return float(server.process.memory_info().rss) / MIB


def _used_memory(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def _probe(stack: Stack, requests: Iterator[list[str]], texts: int, clients: int) -> Probe:
    outcome = play(stack, Load(_WARM_UP_SECONDS, _SECONDS, clients=clients), requests)
    tell_of_others(outcome)
    if outcome.refused:
        raise Failure(f"{outcome.refused:.0%} of what was asked to measure it was not answered; is the machine busy?")
    return Probe(texts, {name: amount / len(outcome.latencies) for name, amount in outcome.used.items()})


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
