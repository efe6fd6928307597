"""
The boards as one page that loads nothing, with what is wrong at its top.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monitoring.board import COLUMNS, Board
from watching.health import Active
from watching.view import View

RUNBOOK = Path(__file__).resolve().parents[2] / "monitoring" / "RUNBOOK.md"
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Picture:
    """
    A drawn panel.

    Attributes:
        columns: its width, of the board's.
    """

    view: View
    columns: int
    png: bytes

    @property
    def base64(self) -> str:
        """
        The picture as a page holds it.
        """
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Drawn:
    """
    A board with its pictures, by the rows' titles.
    """

    board: Board
    rows: tuple[tuple[str, tuple[Picture, ...]], ...]

    @property
    def name(self) -> str:
        """
        The board's title, without what all have.
        """
        return self.board.title.removeprefix("Sentiment: ").capitalize()

    @property
    def pictures(self) -> list[Picture]:
        """
        The pictures of all rows.
        """
        return [picture for _, pictures in self.rows for picture in pictures]

    @property
    def over_limit(self) -> list[str]:
        """
        Its numbers that are where they should not be.
        """
        views = [picture.view for picture in self.pictures if picture.view.panel.kind == "number"]
        return [f"{self.name}, {view.panel.title}: {view.told}" for view in views if view.over_limit]


def page(
    boards: Sequence[Drawn], alerts: Sequence[Active], faulty_rules: Sequence[str], when: str, *, refresh: int
) -> str:
    """
    Render the page.

    Args:
        faulty_rules: names of rules that cannot be evaluated.
        when: what time it shows.
        refresh: seconds after which a browser shall look again; 0 for never.
    """
    firing = [f"{alert.name}: {alert.annotations['summary']}" for alert in alerts if alert.state == "firing"]
    faulty = [f"The rule {name} cannot be evaluated" for name in faulty_rules]
    return _TEMPLATES.get_template("page.html").render(
        wrong=[*firing, *(number for drawn in boards for number in drawn.over_limit), *faulty],
        boards=boards,
        alerts=alerts,
        when=when,
        refresh=refresh,
        columns=COLUMNS,
        steps=steps,
    )


def steps(alert: str) -> str:
    """
    The runbook's section of an alert.
    """
    return RUNBOOK.read_text().partition(f"\n## {alert}\n")[2].partition("\n## ")[0].strip()


def clock(seconds: float) -> str:
    """
    A time of the epoch as a person reads it.
    """
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"
