"""
A bar chart as SVG, plain enough to be written by hand: stacked series over named columns.
"""

from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#2b6cb0", "#dd6b20", "#38a169", "#805ad5", "#d53f8c", "#718096")
_WIDTH, _HEIGHT, _NAMES = 720, 240, 24
_SHARE = 0.8
_ROOM = 20


def bars(columns: Sequence[str], series: Mapping[str, Sequence[int]]) -> str:
    """
    Draw the chart; each bar tells its count when pointed at, and each column its sum above.

    Args:
        columns: names below the columns.
        series: counts of each column, by name.
    """
    sums = [sum(counts) for counts in zip(*series.values(), strict=True)]
    unit = (_HEIGHT - _ROOM) / max([1, *sums])
    step = _WIDTH / len(columns)
    tops = [float(_HEIGHT)] * len(columns)
    marks = []
    for colour, (name, counts) in enumerate(series.items()):
        for column, count in enumerate(counts):
            tops[column] -= count * unit
            told = f"<title>{escape(name)}, {escape(columns[column])}: {count:,}</title>"
            place = f'x="{step * (column + (1 - _SHARE) / 2):.1f}" y="{tops[column]:.1f}"'
            size = f'width="{step * _SHARE:.1f}" height="{count * unit:.1f}"'
            marks.append(f'<rect {place} {size} fill="{COLOURS[colour % len(COLOURS)]}">{told}</rect>')
    for column, name in enumerate(columns):
        middle = f'x="{step * (column + 0.5):.1f}"'
        marks.append(f'<text {middle} y="{tops[column] - 5:.1f}">{_short(sums[column])}</text>')
        marks.append(f'<text {middle} y="{_HEIGHT + 16}">{escape(name)}</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _NAMES}" role="img">{"".join(marks)}</svg>'


def legend(names: Sequence[str]) -> str:
    """
    The colours of series.
    """
    keys = (
        f'<span style="color: {COLOURS[number % len(COLOURS)]}">■</span> {escape(name)}'
        for number, name in enumerate(names)
    )
    return f"<p>{' &emsp; '.join(keys)}</p>"


def _short(count: int) -> str:
    units = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
    size, unit = next((each for each in units if count >= each[0]), (1, ""))
    return f"{count / size:.3g}{unit}" if count else ""
