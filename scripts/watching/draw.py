"""
All boards as files: a PNG for each panel, and the page that has them all.
"""

import re
from pathlib import Path

from local.supervisor import Pause
from monitoring.board import Board
from monitoring.boards import BOARDS
from watching.chart import png
from watching.health import active, faulty_rules
from watching.page import Drawn, Picture, clock, page
from watching.prometheus import Prometheus
from watching.view import Span, look

PAGE = "index.html"


def draw(prometheus: Prometheus, span: Span, folder: Path, pause: Pause, *, refresh: int) -> list[str]:
    """
    Write the files, those that are there anew; a row whose setting is not in use is left out.

    Args:
        pause: between two panels, so that Ctrl-C is heard.
        refresh: see `page`.

    Returns:
        the panels without data.
    """
    boards = [_drawn(prometheus, board, span, pause) for board in BOARDS]
    for drawn in boards:
        into = folder / drawn.board.uid
        into.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(drawn.pictures, 1):
            (into / f"{number:02}-{_slug(picture.view.panel.title)}.png").write_bytes(picture.png)
    when = f"{clock(span.start)} to {clock(span.end)}; rates are means of {span.rate_seconds:.0f} s"
    text = page(boards, active(prometheus), faulty_rules(prometheus), when, refresh=refresh)
    unfinished = folder / f"{PAGE}.new"  # a browser that looks now shall not find half of it
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(folder / PAGE)
    return [
        f"{drawn.board.uid}: {picture.view.panel.title}"
        for drawn in boards
        for picture in drawn.pictures
        if not picture.view.curves
    ]


def _drawn(prometheus: Prometheus, board: Board, span: Span, pause: Pause) -> Drawn:
    rows = []
    for row in board.rows:
        pictures = []
        for panel, columns in row.laid_out():
            pause()
            view = look(prometheus, panel, span)
            pictures.append(Picture(view, columns, png(view, columns)))
        if not row.needs or any(picture.view.curves for picture in pictures):
            rows.append((row.title, tuple(pictures)))
    return Drawn(board, tuple(rows))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
