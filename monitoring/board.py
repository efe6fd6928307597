"""
A dashboard as data: rows of panels, each with its queries.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Query:
    """
    One expression of PromQL.

    Attributes:
        legend: Grafana's name of its series, with labels as `{{label}}`.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """
    What one looks at.

    Attributes:
        unit: Grafana's word for it.
        says: what it means, and what to make of it.
        kind: curves, the newest value as a number, or a distribution over time.
        limit: the value above which it is red; None where none is wrong.
        stacked: whether the curves are parts of a whole.
        exemplars: whether single requests are shown, by their traces.
    """

    title: str
    unit: str
    queries: tuple[Query, ...]
    says: str = ""
    kind: Literal["curves", "number", "distribution"] = "curves"
    limit: float | None = None
    stacked: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """
    Panels that belong together.

    Attributes:
        needs: the setting without which they have no data; empty where they always have some.
    """

    title: str
    panels: tuple[Panel, ...]
    needs: str = ""

    def laid_out(self) -> Iterator[tuple[Panel, int]]:
        """
        The panels and their widths in columns: three beside each other, two where one would be left over; numbers all.
        """
        panels = list(self.panels)
        while panels:
            beside = len(panels) if panels[0].kind == "number" else 2 if len(panels) in (2, 4) else 3
            yield from ((panel, COLUMNS // min(beside, len(panels))) for panel in panels[:beside])
            del panels[:beside]


@dataclass(frozen=True, slots=True)
class Board:
    """
    A dashboard.

    Attributes:
        uid: its name in Grafana's addresses, and its file's.
    """

    title: str
    uid: str
    says: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """
        The panels of all rows.
        """
        return tuple(panel for row in self.rows for panel in row.panels)
