"""
A rule of Prometheus as data: a series that it records, or an alert.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Record:
    """
    A series that is computed ahead, since its window is long or several rules read it.

    Attributes:
        name: level, metric and operation, as Prometheus advises: `sentiment:hit:ratio_rate10m`.
    """

    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """
    What a person should know: `critical` now, `warning` today.

    Attributes:
        lasts: how long it must hold.
        summary: what is wrong.
        description: what that means, and what may be the cause; the runbook says what to do.
    """

    name: str
    expr: str
    lasts: str
    severity: Literal["critical", "warning"]
    summary: str
    description: str
