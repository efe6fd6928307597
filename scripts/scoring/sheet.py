"""
A part's rows in memory: their texts to be scored, and how they are written with what was found.
"""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.delimited import Delimited
from scoring.job import Answer, Job
from scoring.json_lines import JsonLines
from scoring.record import Record, Rejected

_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "float": pa.float64()}


class Sheet(Protocol):
    """
    Rows of a part, good ones and bad ones apart.
    """

    texts: list[str]
    rejected: list[Rejected]

    def render(self, job: Job, answers: Sequence[Answer]) -> bytes:
        """
        The good rows in the output's format, each with its answer behind.
        """


class LineSheet:
    """
    Rows of a format that has them in lines.
    """

    def __init__(self, form: Delimited | JsonLines, rows: Sequence[Record | Rejected]) -> None:
        self._form = form
        self._records = [row for row in rows if isinstance(row, Record)]
        self.texts = [record.text for record in self._records]
        self.rejected = [row for row in rows if isinstance(row, Rejected)]

    def render(self, job: Job, answers: Sequence[Answer]) -> bytes:
        """
        The rows as they are with their additions behind, or as a table.
        """
        if not job.as_parquet:
            rows = zip(self._records, map(job.cells, answers), strict=True)
            return self._form.head(job.added) + b"".join(self._form.row(*row) for row in rows)
        columns = {
            name: pa.array(self._form.column_of(self._records, name), _TYPES.get(job.kinds.get(name, ""), pa.string()))
            for name in job.names
        }
        return to_parquet(pa.table(columns), job, answers)


class TableSheet:
    """
    Rows of Parquet.
    """

    def __init__(self, table: pa.Table, texts: list[str], rejected: list[Rejected]) -> None:
        self._table = table
        self.texts = texts
        self.rejected = rejected

    def render(self, job: Job, answers: Sequence[Answer]) -> bytes:
        """
        The table with more columns.
        """
        return to_parquet(self._table, job, answers)


def to_parquet(table: pa.Table, job: Job, answers: Sequence[Answer]) -> bytes:
    """
    A Parquet file of a table with its answers.
    """
    types = [pa.string(), *[pa.float32() for _ in job.labels], pa.string(), pa.bool_()]
    rows = [job.cells(answer) for answer in answers]
    for name, held in zip(job.added, types, strict=True):
        table = table.append_column(name, pa.array([row[name] for row in rows], held))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content
