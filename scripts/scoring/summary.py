"""
What came of a whole input, for a person and for the manifest.
"""

from dataclasses import dataclass
from typing import Any

from scoring.job import Job
from scoring.tally import Tally


@dataclass(frozen=True)
class Summary:
    """
    All counts, and this run's speed.

    Attributes:
        new_rows: rows of this run, good and bad.
        seconds: what they took.
    """

    job: Job
    tally: Tally
    new_rows: int
    seconds: float

    def shares(self) -> list[tuple[str, int, float]]:
        """
        Labels with their rows and shares of all rows, the most frequent first.
        """
        rows = max(1, self.tally.rows)
        counts = {label: self.tally.labels[label] for label in self.job.labels}
        return [(label, count, count / rows) for label, count in sorted(counts.items(), key=lambda item: -item[1])]

    def facts(self) -> list[tuple[str, str, str]]:
        """
        What to tell: a name, a number, and what to know about it.
        """
        tally, job = self.tally, self.job
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in tally.rejected.most_common())
        speed = f"{self.seconds:,.0f} s, {self.new_rows / max(self.seconds, 1e-9):,.0f} rows/s"
        return [
            ("scored", f"{tally.rows:,}", f"rows, in {job.output.path}/rows"),
            ("rejected", f"{tally.rejected.total():,}", f"{reasons}; in {job.output.path}/rejected" if reasons else ""),
            *[(label, f"{count:,}", f"{share:.1%}") for label, count, share in self.shares()],
            ("truncated", f"{tally.truncated:,}", "have more tokens than the model takes; their beginning was scored"),
            ("computed", f"{tally.computed:,}", "texts; the other rows' were duplicates or cached"),
            ("this run", f"{self.new_rows:,}", f"rows, {speed if self.new_rows else 'nothing to do'}"),
        ]

    def text(self) -> str:
        """
        The facts as lines.
        """
        facts = self.facts()
        names, numbers = (max(len(fact[column]) for fact in facts) for column in (0, 1))
        lines = [f"{name:<{names}}  {number:>{numbers}}  {note}".rstrip() for name, number, note in facts]
        return "\n".join([*lines, f"report: {self.job.output.path}/report.html"])

    def manifest(self) -> dict[str, Any]:
        """
        The counts, for programs.
        """
        return {
            "files": [source.place.path for source in self.job.sources],
            "columns": self.job.added,
            **self.tally.to_json(),
        }
