"""
What is scored, by what, and where to: everything that the workers on any machine need to know.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from local.supervisor import Failure
from predictor.settings import PredictorSettings
from scoring.places import Place


class Part(NamedTuple):
    """
    Rows that are scored, written and booked together, in the order of the input.

    Attributes:
        number: counted from 0, over all files.
        source: the file, by its position among the job's.
        start: where the rows begin: a byte, or a row of Parquet.
        stop: where they end.
        line: the first one's number in its file, counted from 1.
        rows: how many there are, good and bad.
    """

    number: int
    source: int
    start: int
    stop: int
    line: int
    rows: int


class Answer(NamedTuple):
    """
    What was found of a text.

    Attributes:
        label: the best one.
        scores: of all labels, L of them.
        score: the best one's.
        truncated: whether the text has more tokens than the model takes.
        tokens: how many it took.
    """

    label: str
    scores: tuple[float, ...]
    score: float
    truncated: bool
    tokens: int


@dataclass(frozen=True)
class Source:
    """
    One file of the input.

    Attributes:
        changed_ns: when it was written last, before it was read; nanoseconds of the file system's clock.
        header: the first record of a CSV or TSV.
    """

    place: Place
    size: int
    sha256: str
    changed_ns: int | None
    header: bytes = b""

    def check(self) -> None:
        """
        See that nobody has written to it since it was read.

        Raises:
            Failure: somebody has.
        """
        if self.place.info.mtime_ns != self.changed_ns:
            raise Failure(f"{self.place.path} was written to while it was scored; if it differs, it is another input")


@dataclass(frozen=True)
class Job:
    """
    A corpus, a model and an output.

    Attributes:
        suffix: the input's format: `csv`, `tsv`, `jsonl` or `parquet`.
        kinds: what each field of JSON Lines holds in all rows together.
        names: the columns of the input.
        column: the texts'.
        as_parquet: whether the output is Parquet, whatever the input is.
        output: the folder for all that comes of it.
        cache_url: Redis to share answers through; None for none.
        model_name: whose answers those are.
    """

    sources: tuple[Source, ...]
    suffix: str
    kinds: dict[str, str]
    names: tuple[str, ...]
    column: str
    as_parquet: bool
    part_bytes: int
    output: Place
    labels: tuple[str, ...]
    revision: str
    settings: PredictorSettings
    cache_url: str | None
    model_name: str

    @property
    def output_suffix(self) -> str:
        """
        The output's format.
        """
        return "parquet" if self.as_parquet else self.suffix

    @cached_property
    def prefix(self) -> str:
        """
        What the new columns' names begin with, so that none is a name of the input's.
        """
        prefix = ""
        while any(f"{prefix}{name}" in self.names for name in self._plain_names()):
            prefix += "predicted_"
        return prefix

    @cached_property
    def added(self) -> list[str]:
        """
        The new columns: label, a score for each label, revision, truncated.
        """
        return [f"{self.prefix}{name}" for name in self._plain_names()]

    def identity(self) -> dict[str, Any]:
        """
        What must be the same for a run to go on where another ended; nothing else changes the output.
        """
        return {
            "column": self.column,
            "format": self.output_suffix,
            "part_bytes": self.part_bytes,
            "revision": self.revision,
            "inputs": [{"bytes": source.size, "sha256": source.sha256} for source in self.sources],
        }

    def cells(self, answer: Answer) -> dict[str, Any]:
        """
        What is added to a row, by the new column's name.
        """
        values = (answer.label, *answer.scores, self.revision, answer.truncated)
        return dict(zip(self.added, values, strict=True))

    def _plain_names(self) -> list[str]:
        return ["label", *(f"score_{label}" for label in self.labels), "revision", "truncated"]
