"""
What is being played, and for how long yet: a bar on a terminal, a line a row elsewhere.
"""

import contextlib
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """
    The bar.

    Args:
        seconds: about how long each row takes.
    """

    def __init__(self, progress: Progress, task: TaskID, seconds: Mapping[str, float]) -> None:
        self._progress = progress
        self._task = task
        self._seconds = dict(seconds)
        self._done = 0.0

    def begin(self, what: str) -> None:
        """
        Tell what begins.
        """
        self._progress.update(self._task, description=what)
        if self._progress.disable:
            self._progress.console.print(f"… {what}", highlight=False, markup=False)

    def end(self, name: str, line: str) -> None:
        """
        Tell how a row ended.
        """
        self._done += self._seconds[name]
        self._progress.update(self._task, completed=self._done)
        self._progress.console.print(line, highlight=False, markup=False)


@contextlib.contextmanager
def shown(seconds: Mapping[str, float]) -> Iterator[Bar]:
    """
    Draw it on stderr for as long as the rows take.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, progress.add_task("starting", total=sum(seconds.values())), seconds)
