"""
How far the load is, and what it sees: a bar on a terminal, elsewhere a line now and then.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from loadtesting.run import Moment

_LINE_SECONDS = 30

Tell = Callable[[Sequence[Moment]], None]
"""
Takes in all moments there are by now.
"""


@contextlib.contextmanager
def shown(name: str, seconds: float) -> Iterator[Tell]:
    """
    Show it on stderr for as long as it takes.

    Args:
        seconds: how long that will be.
    """
    console = Console(stderr=True)
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    said = began = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{name}: starting", total=seconds)

        def tell(moments: Sequence[Moment]) -> None:
            nonlocal said
            now = time.monotonic()
            line = f"{name}: {_words(moments[-1])}" if moments else f"{name}: starting"
            progress.update(task, completed=now - began, description=line)
            if progress.disable and now - said > _LINE_SECONDS:
                said = now
                console.print(f"{line}; {now - began:.0f} of {seconds:.0f} s", highlight=False, markup=False)

        yield tell


def _words(moment: Moment) -> str:
    known = [
        f"{moment.answered:,.0f} answers/s",
        f"{moment.failed:,.0f} failed" if moment.failed else "",
        f"p95 {moment.p95:.3g} ms" if moment.p95 is not None else "",
        f"{moment.hit_ratio:.0%} cached" if moment.hit_ratio is not None else "",
    ]
    return ", ".join(filter(None, known))
