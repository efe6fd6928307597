"""
A run drawn: over time, by phase and step by step for the page, and at a glance for who reads none.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from loadtesting import panels
from loadtesting.figures import Figures
from loadtesting.run import Run
from loadtesting.verdict import Verdict

_INK, _FAINT = "#2d3748", "#a0aec0"

_STYLE: Any = {  # its type would name each of matplotlib's settings
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e2e8f0",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.borderpad": 0,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
}


def over_time(run: Run, earlier: Run | None) -> str:
    """
    Requests, latency and hits while the time goes by, as SVG.
    """
    with _figure(9, 7.5) as figure:
        top, middle, bottom = figure.subplots(3, sharex=True, height_ratios=[3, 4, 2])
        panels.requests(top, run)
        panels.latency(middle, run, earlier)
        panels.hits(bottom, run)
        return _svg(figure)


def resources(run: Run) -> str:
    """
    CPU and memory, as SVG.
    """
    with _figure(9, 5.5) as figure:
        top, bottom = figure.subplots(2, sharex=True, height_ratios=[4, 3])
        panels.cores(top, run)
        panels.memory(bottom, run)
        return _svg(figure)


def phases(figures: Figures) -> str:
    """
    Where the time of a request goes, as SVG.
    """
    with _figure(9, 2.4) as figure:
        panels.phases(figure.subplots(), figures)
        return _svg(figure)


def steps(verdict: Verdict) -> str:
    """
    Latency by rate, as SVG.
    """
    with _figure(9, 3.4) as figure:
        panels.steps(figure.subplots(), verdict.steps)
        return _svg(figure)


def glance(run: Run, figures: Figures, verdict: Verdict, title: str) -> bytes:
    """
    The most telling of it, as PNG.
    """
    with _figure(10, 6) as figure:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2)
        panels.requests(top_left, run)
        if verdict.steps:
            panels.steps(top_right, verdict.steps)
        else:
            panels.latency(top_right, run, None)
        panels.phases(bottom_left, figures)
        panels.cores(bottom_right, run)
        sink = io.BytesIO()
        figure.savefig(sink, format="png", dpi=120)
        return sink.getvalue()


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width, height))


def _svg(figure: Figure) -> str:
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None})
    return sink.getvalue()
