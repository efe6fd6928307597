"""
What became of rows, counted: of a part, of all.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scoring.job import Answer

CONFIDENCE_BINS = 20
LENGTH_STEPS = (8, 16, 32, 64, 128, 256, 512)


@dataclass
class Tally:
    """
    Counts of rows.

    Attributes:
        rows: scored.
        computed: texts that the model was asked for; the others were known already.
        truncated: scored by their beginning, since they have more tokens than the model takes.
        rejected: by reason.
        labels: by best label.
        confidence: by best label and its score, `label/bin`, in bins of equal width.
        lengths: by the first of `LENGTH_STEPS` that their tokens do not exceed.
    """

    rows: int = 0
    computed: int = 0
    truncated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    confidence: Counter[str] = field(default_factory=Counter)
    lengths: Counter[str] = field(default_factory=Counter)

    @property
    def all_rows(self) -> int:
        """
        Scored and rejected.
        """
        return self.rows + self.rejected.total()

    def count(self, answer: Answer) -> None:
        """
        Count a scored row.
        """
        self.rows += 1
        self.truncated += answer.truncated
        self.labels[answer.label] += 1
        score = min(int(answer.score * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)
        self.confidence[f"{answer.label}/{score}"] += 1
        length = next((step for step in LENGTH_STEPS if answer.tokens <= step), LENGTH_STEPS[-1])
        self.lengths[str(length)] += 1

    def add(self, other: "Tally") -> None:
        """
        Take in another's counts.
        """
        for name, count in vars(other).items():
            if isinstance(count, Counter):
                getattr(self, name).update(count)
            else:
                setattr(self, name, getattr(self, name) + count)

    def to_json(self) -> dict[str, Any]:
        """
        The counts, for a file.
        """
        return {
            name: dict(sorted(count.items())) if isinstance(count, Counter) else count
            for name, count in vars(self).items()
        }

    @classmethod
    def from_json(cls, counts: Mapping[str, Any]) -> "Tally":
        """
        The counts of a file.
        """
        values: dict[str, Any] = {
            name: Counter(count) if isinstance(count, dict) else count for name, count in counts.items()
        }
        return cls(**values)
