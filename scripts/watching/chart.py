"""
A panel as a picture.
"""

import io
import re
import time
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from watching.units import told
from watching.view import View

GOOD, BAD, PLAIN, FAINT = "#1f7a3f", "#c02626", "#1f4e8c", "#6b7280"
_COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#b83280", "#6b46c1", "#b7791f", "#0987a0", "#718096")
_COLUMN_INCHES = 0.68
_HEIGHT_INCHES = {"curves": 3.0, "distribution": 3.0, "number": 1.25}
_DOTS_AN_INCH = 110
_ROOM = 1.15
_TICKS = 5
_SECONDS_A_TICK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900)
_CHARACTER_INCHES, _KEY_INCHES = 0.062, 0.5  # of a legend's name, and of what stands before it
# Names that say by themselves how good they are: statuses of HTTP, errors.
_MEANT = ((r"5(xx|\d\d)\b|.*\berror", BAD), (r"429", "#d69e2e"), (r"2\d\d$", GOOD), (r"(other )?4", FAINT))


def png(view: View, columns: int) -> bytes:
    """
    The picture, as wide as so many of a board's columns.
    """
    panel = view.panel
    size = (columns * _COLUMN_INCHES, _HEIGHT_INCHES[panel.kind])
    figure = Figure(figsize=size, dpi=_DOTS_AN_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    if view.curves:
        _DRAWN[panel.kind](axes, view)
        _name_curves(axes, size[0])
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no data", ha="center", va="center", color=FAINT, transform=axes.transAxes)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _number(axes: Axes, view: View) -> None:
    axes.set_axis_off()
    curve = view.curves[0]
    colour = PLAIN if view.panel.limit is None else BAD if view.over_limit else GOOD
    axes.fill_between(view.span.times, np.nan_to_num(curve.values), color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(0, 2.5 * max(np.nanmax(curve.values), 1e-9))
    axes.margins(x=0)
    axes.text(0.0, 0.55, view.told, fontsize=22, fontweight="bold", color=colour, va="center", transform=axes.transAxes)


def _curves(axes: Axes, view: View) -> None:
    panel, moments = view.panel, view.span.times
    names = [curve.name for curve in view.curves]
    colours = [_colour(name, at) for at, name in enumerate(names)]
    if panel.stacked:
        layers = np.nan_to_num(np.array([curve.values for curve in view.curves]))
        axes.stackplot(moments, layers, labels=names, colors=colours, alpha=0.75, linewidth=0)
        highest = float(layers.sum(axis=0).max())
    else:
        for below, (curve, colour) in enumerate(zip(view.curves, colours, strict=True)):
            axes.plot(moments, curve.values, label=curve.name, color=colour, linewidth=1.4, zorder=3 - below / 100)
        highest = max(float(np.nanmax(curve.values)) for curve in view.curves)
    if panel.limit is not None:
        axes.axhline(panel.limit, color=BAD, linewidth=1, linestyle="--")
        highest = max(highest, panel.limit)
    axes.set_ylim(0, highest * _ROOM or 1)
    axes.yaxis.set_major_locator(_ticks(view, highest))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: told(value, panel.unit)))
    _timed(axes, view)


def _colour(name: str, at: int) -> str:
    return next((colour for pattern, colour in _MEANT if re.match(pattern, name)), _COLOURS[at % len(_COLOURS)])


def _name_curves(axes: Axes, width: float) -> None:
    """
    Put the names below the curves, as many beside each other as there are inches for.
    """
    _, names = axes.get_legend_handles_labels()
    if any(names):
        columns = max(1, int(width / (max(map(len, names)) * _CHARACTER_INCHES + _KEY_INCHES)))
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), ncols=columns, fontsize=7, frameon=False, borderpad=0)


def _ticks(view: View, highest: float) -> Locator:
    """
    Where the axis has its numbers: bytes at powers of two, things that are counted at whole numbers.
    """
    if view.panel.unit == "bytes":
        return MultipleLocator(2.0 ** np.ceil(np.log2(max(highest, 1) / _TICKS)))
    values = np.concatenate([curve.values for curve in view.curves])
    values = values[np.isfinite(values)]
    return MaxNLocator(_TICKS, integer=view.panel.unit == "short" and bool((values == np.rint(values)).all()))


def _distribution(axes: Axes, view: View) -> None:
    """
    How many a second fell between a bucket's bound and the next: the buckets of Prometheus count all below theirs.
    """
    buckets = sorted(view.curves, key=lambda curve: float(curve.name))
    bounds = [float(curve.name) for curve in buckets]
    counts = np.diff(np.nan_to_num(np.array([curve.values for curve in buckets])), axis=0, prepend=0).clip(0)
    shown = np.flatnonzero(counts.any(axis=1))
    first, last = (int(shown[0]), int(shown[-1])) if shown.size else (0, len(bounds) - 1)
    counts = counts[first : last + 1]
    mesh = axes.pcolormesh(
        view.span.times,
        np.arange(len(counts)) + 0.5,
        np.ma.masked_less_equal(counts, 0),
        cmap="YlGnBu",
        vmin=0,
        shading="nearest",
        rasterized=True,
    )
    names = ["more" if np.isinf(bound) else f"≤ {told(bound, view.panel.unit)}" for bound in bounds[first : last + 1]]
    axes.set_yticks(np.arange(len(names)) + 0.5, names)
    axes.set_ylim(0, len(names))
    _timed(axes, view)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)
    bar.ax.tick_params(labelsize=7, length=0)
    bar.outline.set_visible(False)
    bar.set_label("a second", fontsize=7)


def _timed(axes: Axes, view: View) -> None:
    first, last = view.span.times[[0, -1]]
    step = next((seconds for seconds in _SECONDS_A_TICK if last - first <= _TICKS * seconds), _SECONDS_A_TICK[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda moment, _: time.strftime("%H:%M:%S", time.localtime(moment))))
    axes.set_xlim(first, last)
    axes.tick_params(labelsize=7, length=0, colors=FAINT)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


_DRAWN: dict[str, Callable[[Axes, View], None]] = {
    "number": _number,
    "curves": _curves,
    "distribution": _distribution,
}
