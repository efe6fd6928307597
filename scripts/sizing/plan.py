"""
What a scale of traffic needs, on paper, and what of a deployment is used up first.
"""

import math
from dataclasses import dataclass
from functools import partial

from sizing.demand import Demand, demand
from sizing.figures import MIB, Figures
from sizing.hits import Caches, sources
from sizing.popularity import Popularity
from sizing.traffic import Limits, Traffic

_GBIT_BYTES = 1e9 / 8
_MIB_A_GIB = 1024
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Plan:
    """
    What so many requests a second need.

    Attributes:
        transformers, predictors, redis_servers: how many.
        transformer_cores, predictor_cores, redis_cores: of theirs, those that are at work on average.
        cores, memory_gib: of all of them together.
        used: by resource, the share of the traffic's limits that is needed; above 1 it is not enough.
    """

    requests_per_second: float
    demand: Demand
    transformers: int
    transformer_cores: float
    predictors: int
    predictor_cores: float
    redis_servers: int
    redis_cores: float
    redis_mib: float
    network_gbit: float
    cores: float
    memory_gib: float
    cost_hour: float
    used: dict[str, float]

    @property
    def breaks_first(self) -> str:
        """
        The resource that is used up before the others.
        """
        return max(self.used, key=self.used.__getitem__)


def plan(figures: Figures, traffic: Traffic, rate: float) -> Plan:
    """
    Plan for a rate.

    More transformers have more caches of their own, each of which sees less, so replicas and hit ratio go together.
    """
    popularity, transformers, before = Popularity(traffic.zipf_exponent, traffic.vocabulary), 1, 0
    for _ in range(_MOST_ROUNDS):
        if transformers == before:
            break
        caches = Caches.of(traffic, figures, replicas=transformers)
        needs = demand(figures, traffic, sources(popularity, rate * traffic.texts_per_request, caches))
        before = transformers
        transformers = max(transformers, _count(rate * needs.transformer, traffic.limits.target))
    return _planned(figures, traffic, rate, needs, transformers)


def _planned(figures: Figures, traffic: Traffic, rate: float, needs: Demand, transformers: int) -> Plan:
    limits, prices, planned = traffic.limits, traffic.prices, partial(_count, share=traffic.limits.target)
    looping, computing = rate * needs.predictor, rate * needs.of_predictor(limits.predictor_cores)
    predictors = max(planned(looping), planned(computing / limits.predictor_cores))
    redis_mib = needs.sources.redis_entries * figures.redis_entry_bytes / MIB
    redis_servers = max(planned(rate * needs.redis), _count(redis_mib, limits.redis_mib))
    cores = transformers * limits.transformer_cores + predictors * limits.predictor_cores + redis_servers
    local_mib = min(traffic.local_cache_bytes, traffic.vocabulary * figures.local_entry_bytes) / MIB
    process_mib = transformers * (figures.transformer_mib + local_mib) + predictors * figures.predictor_mib
    memory_gib = (process_mib + redis_mib) / _MIB_A_GIB
    return Plan(
        requests_per_second=rate,
        demand=needs,
        transformers=transformers,
        transformer_cores=rate * needs.transformer,
        predictors=predictors,
        predictor_cores=computing,
        redis_servers=redis_servers,
        redis_cores=rate * needs.redis,
        redis_mib=redis_mib,
        network_gbit=rate * needs.transformer_bytes / _GBIT_BYTES,
        cores=cores,
        memory_gib=memory_gib,
        cost_hour=cores * prices.core_hour + memory_gib * prices.gib_hour,
        used=_used(limits, rate, needs) | {"Redis' memory": redis_mib / limits.redis_mib},
    )


def _used(limits: Limits, rate: float, needs: Demand) -> dict[str, float]:
    link = limits.link_gbit * _GBIT_BYTES
    loops = limits.transformer_replicas * min(1.0, limits.transformer_cores)  # one thread each
    cores = limits.predictor_replicas * limits.predictor_cores
    return {
        "transformer loops": rate * needs.transformer / loops,
        "transformer network": rate * needs.transformer_bytes / (limits.transformer_replicas * link),
        "predictor loops": rate * needs.predictor / limits.predictor_replicas,
        "predictor cores": rate * needs.of_predictor(limits.predictor_cores) / cores,
        "Redis' thread": rate * needs.redis,
        "Redis' network": rate * needs.redis_bytes / link,
    }


def _count(amount: float, share: float) -> int:
    return max(1, math.ceil(amount / share))
