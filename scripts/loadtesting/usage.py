"""
CPU and memory of processes while they work.
"""

import time
from collections.abc import Mapping

import psutil

from loadtesting.run import Look

_MIB = 2**20


class Usage:
    """
    Looks at processes.

    Attributes:
        looks: one for each time that `look` was called.
    """

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self.looks: list[Look] = []
        self._processes = processes
        self._began = time.monotonic()
        self._busy()

    def look(self) -> None:
        """
        Note what each has used since the last look.

        Raises:
            psutil.Error: one has ended.
        """
        cores, machine = self._busy()
        look = Look(
            seconds=time.monotonic() - self._began,
            cores=cores,
            memory_mib={name: process.memory_info().rss / _MIB for name, process in self._processes.items()},
            others=max(0, machine - sum(cores.values())),
        )
        self.looks.append(look)

    def _busy(self) -> tuple[dict[str, float], float]:
        cores = {name: process.cpu_percent() / 100 for name, process in self._processes.items()}
        return cores, psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
