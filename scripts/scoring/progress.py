"""
How far it is, how fast it goes and how long it still takes: a bar on a terminal, elsewhere a line now and then.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINE_SECONDS = 30
_SPEED_SECONDS = 120

Done = Callable[[int], None]
"""
Takes in steps that are done.
"""


class _Rate(ProgressColumn):
    """
    Steps a second.
    """

    def render(self, task: Task) -> Text:
        """
        Draw the column.
        """
        return Text(_rate(task))


@contextlib.contextmanager
def shown(doing: str, unit: str, total: int, done: int = 0) -> Iterator[Done]:
    """
    Show the progress of some work on stderr for as long as it takes.

    Args:
        unit: of the steps; `B` for bytes.
        done: steps that need no more work.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    said = time.monotonic()
    with Progress(
        *columns, console=console, disable=not console.is_terminal, speed_estimate_period=_SPEED_SECONDS
    ) as progress:
        progress.add_task(doing, total=total, completed=done, unit=unit)
        [task] = progress.tasks

        def advance(steps: int) -> None:
            nonlocal said
            progress.advance(task.id, steps)
            if progress.disable and time.monotonic() - said > _LINE_SECONDS:
                said = time.monotonic()
                left = timedelta(seconds=round(task.time_remaining or 0))
                console.print(f"{doing}: {task.percentage:.1f} %, {_rate(task)}, {left} left", highlight=False)

        yield advance


def _rate(task: Task) -> str:
    speed, unit = task.speed or 0, task.fields["unit"]
    return f"{decimal(int(speed))}/s" if unit == "B" else f"{speed:,.0f} {unit}/s"
