"""
A progress bar with rate and time left, on a terminal only.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

Tell = Callable[..., None]
"""`Task`'s fields to change, such as `advance` and `description`."""


class _Rate(ProgressColumn):
    """
    Units a second.
    """

    def render(self, task: Task) -> Text:
        """
        Draw the column.
        """
        return Text(f"{task.speed or 0:,.0f} {task.fields['unit']}/s")


@contextlib.contextmanager
def bar(doing: str, unit: str, total: int) -> Iterator[Tell]:
    """
    Draw a bar on stderr for as long as the work takes.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield partial(progress.update, progress.add_task(doing, total=total, unit=unit))
