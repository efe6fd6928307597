"""
What a fuzz run has seen, and whether that is good.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fuzzing.case import GRPC, Case
from fuzzing.client import Answer, Vitals

MOST_GROWTH = 1.1
_MOST_FAULTS = 20
_LONGEST_SHOWN = 2000


@dataclass
class Tally:
    """
    One service: what it answered, how long it took at most, and its process before and after.
    """

    answers: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    before: Vitals | None = None
    after: Vitals | None = None

    @property
    def died(self) -> bool:
        """
        Whether the process after is not the one before, or does not answer.
        """
        return self.before is not None and (self.after is None or self.after.started != self.before.started)

    @property
    def growth(self) -> float | None:
        """
        Memory after, in times of that before.
        """
        return self.after.resident_mib / self.before.resident_mib if self.after and self.before else None


class Verdict:
    """
    Everything that a run saw.

    Args:
        services: their names.
        seed: of the run.
        hang_seconds: the longest time an answer may take.
        judge_memory: whether memory counts.
        keep: where cases that did harm are written.
    """

    def __init__(self, services: list[str], *, seed: int, hang_seconds: float, judge_memory: bool, keep: Path) -> None:
        self.tallies = {name: Tally() for name in services}
        self._seed = seed
        self._hang_seconds = hang_seconds
        self._judge_memory = judge_memory
        self._keep = keep
        self._began = time.monotonic()
        self._faults: list[str] = []
        self._console = Console(stderr=True)

    def note(self, service: str, case: Case | None, answer: Answer, seconds: float) -> None:
        """
        Take in an answer; a case that did harm is written to a file, and shown.

        Args:
            case: None for the right question.
        """
        tally = self.tallies[service]
        protocol = "" if case is None else "gRPC " if case.method == GRPC else "REST "
        tally.answers[f"{protocol}{answer.status}"] += 1
        tally.slowest_seconds = max(tally.slowest_seconds, seconds)
        fault = answer.fault
        if fault is None and seconds > self._hang_seconds:
            fault = f"the answer took {seconds:.1f} s"
        if fault:
            self._faults.append(f"{service}: {answer.status}: {fault}")
            self._show(self._faults[-1], case)

    @property
    def hopeless(self) -> bool:
        """
        Whether so much is wrong that the rest would tell nothing new.
        """
        return len(self._faults) >= _MOST_FAULTS

    def faults(self) -> list[str]:
        """
        All that is wrong, the processes' ends and memory included.
        """
        faults = list(self._faults)
        for name, tally in self.tallies.items():
            if tally.died:
                faults.append(f"{name}: its process died")
            elif self._judge_memory and tally.growth and tally.growth > MOST_GROWTH:
                faults.append(f"{name}: holds {tally.growth:.2f} times the memory of the start, idle both times")
        return faults

    def figures(self) -> dict[str, Any]:
        """
        The same for programs.
        """
        services = {
            name: {
                "answers": dict(sorted(tally.answers.items())),
                "slowest_seconds": round(tally.slowest_seconds, 3),
                "resident_mib": [vitals and round(vitals.resident_mib, 1) for vitals in (tally.before, tally.after)],
                "died": tally.died,
            }
            for name, tally in self.tallies.items()
        }
        seconds = round(time.monotonic() - self._began, 1)
        return {"seed": self._seed, "seconds": seconds, "services": services, "faults": self.faults()}

    def print(self) -> None:
        """
        A table for people, and what is wrong.
        """
        console = Console()
        table = Table("", *self.tallies)
        for status in sorted(set().union(*(tally.answers for tally in self.tallies.values()))):
            table.add_row(status, *(f"{tally.answers[status]:,}" for tally in self.tallies.values()))
        table.add_section()
        table.add_row("slowest", *(f"{tally.slowest_seconds:.2f} s" for tally in self.tallies.values()))
        table.add_row("memory", *(_memory(tally) for tally in self.tallies.values()))
        table.add_row("process", *("died" if tally.died else "lived" for tally in self.tallies.values()))
        console.print(table)
        faults = self.faults()
        for fault in faults:
            console.print(f"[red]fault[/] {escape(fault)}", soft_wrap=True)
        console.print(f"{len(faults)} faults, seed {self._seed}", style="red" if faults else "green")

    def _show(self, fault: str, case: Case | None) -> None:
        self._console.print(f"[red]fault[/] {escape(fault)}", soft_wrap=True)
        if case is not None:
            literal = case.literal()
            shown = literal if len(literal) < _LONGEST_SHOWN else f"{literal[:_LONGEST_SHOWN]}…"
            self._console.print(f"  {case.keep(self._keep)}: {shown}", markup=False, highlight=False, soft_wrap=True)


def _memory(tally: Tally) -> str:
    if not tally.before or not tally.after:
        return "not told"
    return f"{tally.before.resident_mib:.0f} → {tally.after.resident_mib:.0f} MiB, {tally.growth:.2f}x"
