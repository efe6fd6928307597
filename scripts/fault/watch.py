"""
Memory and open files of processes while they work.
"""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from fault.process import Process
from fault.verdict import Check

_PERIOD_SECONDS = 0.5
_BLOCKS = 12
_FEWEST_BLOCKS = 3
# Student's t for 10 degrees of freedom, one-sided 97.5 %.
_T = 2.228
# A page here and there is a slope too, where nothing else wavers.
_NOTHING = 0.01
_SPARE_FILES = 2
_MIB = 2**20


@dataclass
class Watch:
    """
    Samples of processes, by name.
    """

    processes: Mapping[str, Process]
    memory: dict[str, list[float]] = field(default_factory=dict)
    files: dict[str, list[int]] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """
        Sample meanwhile.
        """
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def memory_checks(self) -> list[Check]:
        """
        No memory grows.
        """
        return [self._memory(name) for name in self.processes]

    def files_checks(self) -> list[Check]:
        """
        Sockets and other open files do not grow in number.
        """
        return [self._files(name) for name in self.processes]

    def _memory(self, name: str) -> Check:
        slope, error, growth = trend(self.memory[name])
        figure = (
            f"{growth:+.1f} MiB of {self.memory[name][-1]:.0f}, ± {_T * error / slope * growth if slope else 0:.1f}"
        )
        flat = slope <= _T * error or growth <= _NOTHING * self.memory[name][-1]
        return Check(f"the {name}'s memory does not grow", flat, figure, timed=True)

    def _files(self, name: str) -> Check:
        third = max(1, len(self.files[name]) // 3)
        first, last = max(self.files[name][:third]), max(self.files[name][-third:])
        law = f"the {name}'s sockets and files do not grow"
        return Check(law, last <= first + _SPARE_FILES, f"at most {first} at first, {last} at last", timed=True)

    async def _sample(self) -> None:
        watched = {name: psutil.Process(process.pid) for name, process in self.processes.items()}
        while True:
            for name, process in watched.items():
                self.memory.setdefault(name, []).append(process.memory_info().rss / _MIB)
                self.files.setdefault(name, []).append(process.num_fds())
            await asyncio.sleep(_PERIOD_SECONDS)


def trend(samples: Sequence[float]) -> tuple[float, float, float]:
    """
    Slope, its standard error and the growth it makes, by least squares over means of blocks, which noise leaves alone.
    """
    size = max(1, len(samples) // _BLOCKS)
    blocks = [statistics.fmean(samples[at : at + size]) for at in range(0, len(samples) - size + 1, size)]
    if len(blocks) < _FEWEST_BLOCKS:
        return 0.0, 0.0, 0.0
    x = range(len(blocks))
    slope, intercept = statistics.linear_regression(x, blocks)
    residuals = sum((y - slope * each - intercept) ** 2 for each, y in zip(x, blocks, strict=True))
    spread = sum((each - statistics.fmean(x)) ** 2 for each in x)
    error = (residuals / (len(blocks) - 2) / spread) ** 0.5
    return slope, error, slope * (len(blocks) - 1)
