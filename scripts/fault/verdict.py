"""
Whether a row held, and why: as a table for a person, as JSON for a program.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault.outcome import Outcome, statuses


@dataclass(frozen=True)
class Check:
    """
    One thing that a row must hold.

    Attributes:
        law: what must hold.
        figure: what was seen.
        timed: whether it is a matter of time or memory, which does not count in the short form.
    """

    law: str
    held: bool
    figure: str
    timed: bool = False


@dataclass(frozen=True)
class Verdict:
    """
    A row as it was played.

    Attributes:
        counted: whether timed checks count.
    """

    row: str
    fault: str
    checks: Sequence[Check]
    outcomes: Sequence[Outcome]
    seconds: float
    counted: bool

    @property
    def held(self) -> bool:
        """
        Whether everything that counts held.
        """
        return all(check.held for check in self.checks if self.counts(check))

    def counts(self, check: Check) -> bool:
        """
        Whether the row fails without it.
        """
        return self.counted or not check.timed

    def as_json(self) -> dict[str, Any]:
        """
        For programs.
        """
        checks = [
            {"law": check.law, "held": check.held, "counts": self.counts(check), "figure": check.figure}
            for check in self.checks
        ]
        return {
            "row": self.row,
            "fault": self.fault,
            "held": self.held,
            "seconds": round(self.seconds, 1),
            "requests": len(self.outcomes),
            "statuses": statuses(self.outcomes),
            "checks": checks,
        }

    def lines(self) -> list[str]:
        """
        For a person.
        """
        counts = ", ".join(f"{count} x {status}" for status, count in statuses(self.outcomes).items())
        head = f"{'held' if self.held else 'FAILED':<7}{self.row:<24}{counts} in {self.seconds:.0f} s"
        return [head, *(f"       {self._sign(check)} {check.law}: {check.figure}" for check in self.checks)]

    def _sign(self, check: Check) -> str:
        if check.held:
            return "+"
        return "-" if self.counts(check) else "~"


def write(file: Path, form: str, verdicts: Sequence[Verdict]) -> None:
    """
    Write the verdicts as JSON.
    """
    held = all(verdict.held for verdict in verdicts)
    content = {"form": form, "held": held, "rows": [verdict.as_json() for verdict in verdicts]}
    file.write_text(json.dumps(content, indent=1) + "\n")
