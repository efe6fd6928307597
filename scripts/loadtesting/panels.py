"""
The panels that a run's plots are made of.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from loadtesting.figures import KINDS, Figures
from loadtesting.run import Run
from loadtesting.verdict import Step
from loadtesting.words import ms, number

_GOOD, _BAD, _FAINT = "#2f855a", "#c53030", "#a0aec0"
_PERCENTILES = {"p99": "#1a365d", "p95": "#3182ce", "p50": "#90cdf4"}
_PROCESSES = {"transformer": "#3182ce", "predictor": "#dd6b20", "Redis": "#38a169", "k6": "#b794f4"}
_PHASES = {
    "receive": "#bee3f8",
    "parse": "#90cdf4",
    "cache": "#38a169",
    "model": "#dd6b20",
    "render": "#3182ce",
    "elsewhere": "#cbd5e0",
}
_TICKS_MS = [step * 10**power for power in range(-1, 5) for step in (1, 2, 5)]
_LONG_SECONDS = 300
_ROOM_FOR_WORDS = 0.06


def requests(axes: Axes, run: Run) -> None:
    """
    How many were sent, and what became of them.
    """
    axes.set_title("Requests a second")
    seconds = [moment.seconds for moment in run.moments]
    kinds = {
        "answered": ("#3182ce", [moment.answered for moment in run.moments]),
        "failed": (_BAD, [moment.failed for moment in run.moments]),
        "never sent: k6 had no free client": (_FAINT, [moment.dropped for moment in run.moments]),
    }
    seen = {name: kind for name, kind in kinds.items() if any(kind[1]) or name == "answered"}
    axes.stackplot(
        seconds, [rates for _, rates in seen.values()], labels=[*seen], colors=[colour for colour, _ in seen.values()]
    )
    axes.set_ylim(bottom=0)
    _time(axes, run)
    _legend(axes)


def latency(axes: Axes, run: Run, earlier: Run | None) -> None:
    """
    How long an answer took; the earlier run's p99 beside it.
    """
    axes.set_title("Time to an answer")
    for name, colour in _PERCENTILES.items():
        axes.plot(*_line(run, name), color=colour, label="median" if name == "p50" else name)
    if earlier:
        axes.plot(*_line(earlier, "p99"), color=_FAINT, linestyle="--", label="p99 earlier")
    _milliseconds(axes)
    _time(axes, run)
    _legend(axes)


def hits(axes: Axes, run: Run) -> None:
    """
    The hit ratio.
    """
    axes.set_title("Texts that the cache knew")
    axes.plot(*_line(run, "hit_ratio"), color=_GOOD)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _time(axes, run)


def cores(axes: Axes, run: Run) -> None:
    """
    What each process used of the processor.
    """
    axes.set_title("Cores at work")
    names = [*run.looks[0].cores] if run.looks else []
    busy = [[look.cores[name] for look in run.looks] for name in names]
    axes.stackplot(
        [look.seconds for look in run.looks],
        [*busy, [look.others for look in run.looks]],
        labels=[*names, "everything else"],
        colors=[*(_PROCESSES[name] for name in names), "#e2e8f0"],
    )
    axes.axhline(run.cores, color=_FAINT, linestyle="--", linewidth=1)
    axes.set_ylim(0, run.cores * 1.05)
    _time(axes, run)
    _legend(axes)


def memory(axes: Axes, run: Run) -> None:
    """
    What each process used of memory.
    """
    axes.set_title("Memory, MiB")
    for name in run.looks[0].memory_mib if run.looks else []:
        memory = [look.memory_mib[name] for look in run.looks]
        axes.plot([look.seconds for look in run.looks], memory, color=_PROCESSES[name], label=name)
    axes.set_ylim(bottom=0)
    _time(axes, run)
    _legend(axes)


def phases(axes: Axes, figures: Figures) -> None:
    """
    Where the time of the requests goes, by kind.
    """
    axes.set_title("Where the time goes, mean in ms")
    kinds = {kind: words for kind, words in KINDS.items() if figures.phases(kind)}
    for place, kind in enumerate(kinds):
        axes.text(0, place - 0.32, f"{kinds[kind]}: {ms(figures.of(f'latency_{kind}', 'avg'))}", fontsize=9)
        left = 0.0
        for phase in figures.phases(kind):
            name = "_" * place + phase.name  # the legend leaves out what begins with _
            axes.barh(place, phase.share, left=left, color=_PHASES[phase.name], height=0.5, label=name)
            if phase.share > _ROOM_FOR_WORDS:
                axes.text(left + phase.share / 2, place, number(phase.mean), ha="center", va="center", fontsize=8)
            left += phase.share
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(len(kinds) - 0.5, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(visible=False)
    _legend(axes)


def steps(axes: Axes, steps: Sequence[Step]) -> None:
    """
    Latency at each rate.
    """
    axes.set_title("p99 by requests a second")
    axes.plot([step.rate for step in steps], [step.p99 for step in steps], color=_FAINT, zorder=1)
    for held, colour, name in ((True, _GOOD, "held"), (False, _BAD, "broke")):
        some = [step for step in steps if step.held == held]
        axes.scatter([step.rate for step in some], [step.p99 for step in some], color=colour, label=name, zorder=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}/s"))
    _milliseconds(axes)
    _legend(axes)


def _line(run: Run, name: str) -> tuple[list[float], list[float]]:
    values = [getattr(moment, name) for moment in run.moments]
    return [moment.seconds for moment in run.moments], [float("nan") if value is None else value for value in values]


def _milliseconds(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    below, above = bisect_right(_TICKS_MS, low) - 1, bisect_left(_TICKS_MS, high)
    axes.set_yticks(_TICKS_MS[max(0, below) : above + 1])
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g} ms"))


def _time(axes: Axes, run: Run) -> None:
    if run.moments and run.moments[-1].seconds > _LONG_SECONDS:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick / 60:g} min"))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g} s"))
    axes.set_xlim(left=0)


def _legend(axes: Axes) -> None:
    """
    Between the title and the panel.
    """
    axes.set_title(axes.get_title(loc="left"), pad=20)
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(handles),
        fontsize=8,
        handlelength=1,
        handletextpad=0.5,
        columnspacing=1.2,
        borderaxespad=0.4,
    )
