"""
What a row of the table is.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fault.form import Form
from fault.outcome import Outcome
from fault.scene import Scene
from fault.verdict import Check


class Result(NamedTuple):
    """
    What was seen.
    """

    checks: Sequence[Check]
    outcomes: Sequence[Outcome]


@dataclass(frozen=True)
class Row:
    """
    A fault, and how it is played.

    Attributes:
        fault: in words.
        through: whether the clients ask the transformer behind the proxies.
        other: whether the other model takes part.
        seconds: how long its load lasts.
    """

    name: str
    fault: str
    play: Callable[[Scene], Awaitable[Result]]
    through: bool = False
    other: bool = False
    seconds: Callable[[Form], float] = lambda form: form.before + form.redis_fault + form.after
