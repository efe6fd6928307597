"""
What is asked of the service, what a deployment may use for it at most, and what that costs.
"""

from statistics import fmean
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sizing.document import Count, Document, NotNegative, Part, Positive


class Limits(Part):
    """
    What a deployment has; the defaults are those of manifests/base.
    """

    transformer_replicas: Count = 6
    transformer_cores: Positive = 1
    """
    Of a replica; more than one is never used, since its event loop is one thread.
    """

    predictor_replicas: Count = 4
    predictor_cores: Count = 2
    """
    Of a replica; as many compute threads.
    """

    redis_mib: Positive = 384
    """
    Redis' `maxmemory`.
    """

    link_gbit: Positive = 10
    """
    Network of one pod, each way.
    """

    target: float = Field(default=0.6, gt=0, le=1)
    """
    Share of what it can do at most that a replica is planned to do: the rest is for bursts and for latency.
    """


class Prices(Part):
    """
    What is paid, in any money; without prices, there is no cost.
    """

    core_hour: NotNegative = 0
    gib_hour: NotNegative = 0


class Traffic(Document):
    """
    Requests at random times (Poisson) for texts drawn independently by Zipf's law.

    Attributes:
        requests_per_second: the scales to plan for.
        token_quantiles: of the texts' tokens, evenly spaced from the shortest to the longest; the default is SST-2's.
        zipf_exponent: the text of rank r is asked for in proportion to 1 / r to this power.
        vocabulary: how many texts there are.
        ttl_seconds, ttl_jitter: `CACHE_TTL_SECONDS`, `CACHE_TTL_JITTER`.
        local_cache_bytes: `LOCAL_CACHE_BYTES`.
    """

    requests_per_second: tuple[Positive, ...] = Field(default=(1e2, 1e4, 1e6), min_length=1)
    texts_per_request: Count = 3
    token_quantiles: tuple[Count, ...] = Field(default=(4, 12, 16, 19, 21, 24, 27, 30, 34, 40, 55), min_length=2)
    zipf_exponent: float = Field(default=1.0, ge=0, le=5)
    vocabulary: int = Field(default=10_000_000, gt=0, le=10**12)
    ttl_seconds: Count = 3600
    ttl_jitter: float = Field(default=0.1, ge=0, le=1)
    local_cache_bytes: NotNegative = 64 * 1024 * 1024
    limits: Limits = Limits()
    prices: Prices = Prices()

    @model_validator(mode="after")
    def _check_quantiles(self) -> Self:
        if list(self.token_quantiles) != sorted(self.token_quantiles):
            raise ValueError("token_quantiles must not fall")
        return self

    @property
    def mean_tokens(self) -> float:
        """
        Of a text.
        """
        return fmean(fmean(pair) for pair in zip(self.token_quantiles, self.token_quantiles[1:], strict=False))

    def tokens(self, chance: np.random.Generator, count: int) -> NDArray[np.int64]:
        """
        Draw texts' lengths, (N,).
        """
        at = chance.random(count) * (len(self.token_quantiles) - 1)
        return np.rint(np.interp(at, range(len(self.token_quantiles)), self.token_quantiles)).astype(np.int64)
