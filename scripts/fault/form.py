"""
How long the rows are played, against which settings, and what counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """
    One way to play the rows.

    Attributes:
        name: for the verdicts.
        rate: requests/s of the mixed load.
        before: seconds of load before a fault, and so on.
        bound_slack: seconds that an old revision may be told beyond the refresh bound, for questions under way.
        timed: whether what was measured counts, or only what was answered.
        predictor_timeout: seconds that the transformer waits for the predictor.
        refresh: seconds that the transformer may know an old revision.
        redis_timeout: seconds that the transformer waits for Redis.
        added_delay: seconds by which a slow Redis answers later.
        settings: other settings of both services.
    """

    name: str
    rate: float
    before: float
    during: float
    after: float
    crowd: float
    long: float
    warm_up: float
    bound_slack: float
    timed: bool
    predictor_timeout: float
    refresh: float
    redis_timeout: float
    added_delay: float
    settings: Mapping[str, str]

    @property
    def redis_fault(self) -> float:
        """
        Seconds that a fault of Redis lasts: some are felt only when the transformer has waited long enough.
        """
        return self.redis_timeout + self.during

    @property
    def predictor_fault(self) -> float:
        """
        Seconds that a fault of the predictor lasts.
        """
        return self.predictor_timeout + self.during


FULL = Form(
    name="full",
    rate=100,
    before=10,
    during=20,
    after=5,
    crowd=60,
    long=600,
    warm_up=60,
    bound_slack=0.5,
    timed=True,
    predictor_timeout=10,
    refresh=5,
    redis_timeout=0.05,
    added_delay=0.5,
    settings={},
)

# Longer waits than the defaults: a machine that stalls for a moment must fail no row.
SHORT = Form(
    name="short",
    rate=40,
    before=0.7,
    during=1.2,
    after=0.5,
    crowd=2.5,
    long=2.5,
    warm_up=0.5,
    bound_slack=1,
    timed=False,
    predictor_timeout=3,
    refresh=0.5,
    redis_timeout=1,
    added_delay=1.5,
    settings={"MAX_WAIT_MS": "500"},
)
