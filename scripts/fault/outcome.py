"""
What became of requests, and how that is told.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NO_ANSWER = 0
"""In place of a status."""

BACK_WITHIN_SECONDS = 2.0
"""What the service may take to cope with a fault, and to recover from it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a request.

    Attributes:
        due: when it was to be sent, in the event loop's time.
        seconds: from then to its answer.
        fault: what is wrong with its answer.
        hits: how many of its texts the cache knew.
        request_id: the service's own name for it, which its log tells as well.
    """

    due: float
    seconds: float
    status: int
    cached: bool
    revision: str = ""
    fault: str | None = None
    texts: int = 0
    hits: int = 0
    request_id: str = ""


@dataclass(frozen=True)
class Played:
    """
    What became of the requests before, during and after a fault.

    Attributes:
        struck: when it began.
        healed: when its cause was taken away.
        mended: when what failed was there again.
    """

    outcomes: list[Outcome]
    struck: float
    healed: float
    mended: float

    @property
    def before(self) -> list[Outcome]:
        """
        Requests that a healthy stack has answered.
        """
        return [outcome for outcome in self.outcomes if outcome.due + outcome.seconds < self.struck]

    @property
    def during(self) -> list[Outcome]:
        """
        Requests while the fault lasted.
        """
        return [outcome for outcome in self.outcomes if self.struck <= outcome.due < self.healed]

    @property
    def late(self) -> list[Outcome]:
        """
        Requests while the fault lasted, once the service had its time to cope.
        """
        coped = self.struck + min(BACK_WITHIN_SECONDS, (self.healed - self.struck) / 2)
        return [outcome for outcome in self.during if outcome.due >= coped]

    @property
    def recovered(self) -> list[Outcome]:
        """
        Requests once the service had its time to recover.
        """
        return [outcome for outcome in self.outcomes if outcome.due >= self.mended + BACK_WITHIN_SECONDS]


def quantile(outcomes: Sequence[Outcome], share: float) -> float:
    """
    Seconds within which so many of the requests were answered; 0 where there are none.
    """
    seconds = sorted(outcome.seconds for outcome in outcomes)
    return seconds[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else 0.0


def statuses(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """
    How often each status came.
    """
    return {str(status): count for status, count in sorted(Counter(each.status for each in outcomes).items())}
