"""What is read of a file, in whatever parts, and what is written of it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.supervisor import Failure
from predictor.settings import PredictorSettings
from scoring import parquet
from scoring.job import Answer, Job
from scoring.lines import MAX_RECORD_BYTES
from scoring.places import place_of
from scoring.scorer import read
from scoring.sheet import LineSheet, Sheet
from scoring.survey import survey

HEADERS = {"csv": b"id,text\n", "tsv": b"id\ttext\n", "jsonl": b""}
ROWS = {"csv": b'1,"one, ""two""\nthree"\n', "tsv": b'1\t"one\n', "jsonl": b'{"id": 1.50, "text": "one"}\n'}

PIECES = [b'"', b",", b"\n", b"\r\n", b"\t", b"a", b"\xe9", b"\0", b"{", b"null", *ROWS.values()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder for files that each example writes anew.
    """
    return tmp_path_factory.mktemp("rows")


def sheets_of(file: Path, part_bytes: int = 1, **options: Any) -> tuple[Job, list[Sheet]]:
    """
    A file's parts, read one by one.
    """
    corpus = survey([place_of(str(file))], "text", part_bytes, lambda _bytes: None)
    job = Job(
        sources=tuple(corpus.sources),
        suffix=corpus.suffix,
        kinds=corpus.kinds,
        names=tuple(corpus.names),
        column="text",
        as_parquet=options.get("as_parquet", corpus.suffix == "parquet"),
        part_bytes=part_bytes,
        output=place_of(str(file.parent / "out")),
        labels=("NO", "YES"),
        revision="r",
        settings=PredictorSettings(),
        cache_url=None,
        model_name="sentiment",
    )
    return job, [read(job, part) for part in corpus.parts]


def rows_of(sheets: list[Sheet]) -> list[tuple[int, bytes | None]]:
    """
    Where each row begins and its bytes, good or bad.
    """
    rows: list[tuple[int, bytes | None]] = []
    for sheet in sheets:
        assert isinstance(sheet, LineSheet)
        rows += [(row.offset, row.raw) for row in (*sheet._records, *sheet.rejected)]
    return sorted(rows, key=lambda row: row[0])


def answers(count: int) -> list[Answer]:
    """
    The same answer for each row.
    """
    return [Answer("YES", (0.25, 0.75), 0.75, truncated=False, tokens=3)] * count


@pytest.mark.parametrize("suffix", HEADERS)
@given(st.lists(st.sampled_from(PIECES)), st.integers(1, 60))
@example([b'1,"open\n', ROWS["csv"]], 1)
def test_parts_are_the_file(folder: Path, suffix: str, pieces: list[bytes], part_bytes: int) -> None:
    """
    Whatever the bytes, the rows of all parts are the rows of the file, and every byte but blank ones is in one of them.
    """
    file = folder / f"rows.{suffix}"
    good = b'{"text": "x"}\n' if suffix == "jsonl" else b""
    content = HEADERS[suffix] + good + b"".join(pieces)
    file.write_bytes(content)
    rows = rows_of(sheets_of(file, part_bytes)[1])
    assert rows == rows_of(sheets_of(file, 1000)[1])
    rest, at = b"", len(HEADERS[suffix])
    for offset, raw in rows:
        assert raw is not None
        assert content[offset:].startswith(raw)
        rest, at = rest + content[at:offset], offset + len(raw)
    assert (rest + content[at:]).strip() == b""


@pytest.mark.parametrize("suffix", HEADERS)
def test_rows_stay_as_they_are(folder: Path, suffix: str) -> None:
    """
    A row of the output in the input's format is the input's row, byte for byte, with its answer behind.
    """
    file = folder / f"kept.{suffix}"
    file.write_bytes(HEADERS[suffix] + ROWS[suffix] * 2)
    job, sheets = sheets_of(file)
    content = b"".join(sheet.render(job, answers(1)).removeprefix(job_head(job, sheet)) for sheet in sheets)
    begin = ROWS[suffix].rstrip(b"}\n")
    assert content.startswith(begin)
    assert content.count(begin) == 2
    if suffix == "jsonl":
        [row, _] = map(json.loads, content.splitlines())
        assert row == {"id": 1.5, "text": "one", "label": "YES", "score_NO": 0.25, "score_YES": 0.75} | {
            "revision": "r",
            "truncated": False,
        }
    else:
        delimiter = "," if suffix == "csv" else "\t"
        assert content.endswith(delimiter.join(["", "YES", "0.25", "0.75", "r", "false\n"]).encode())


def job_head(job: Job, sheet: Sheet) -> bytes:
    """
    The header of a part's output.
    """
    assert isinstance(sheet, LineSheet)
    return sheet._form.head(job.added)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=1))
def test_csv_texts_are_exact(folder: Path, cells: list[tuple[str, str]]) -> None:
    """
    A text of a CSV is what its writer was given, line breaks and quotes included.
    """
    cells = [(one, text) for one, text in cells if (one + text).isprintable()]
    table = io.StringIO()
    csv.writer(table).writerows([("id", "text"), *cells])
    file = folder / "exact.csv"
    file.write_text(table.getvalue(), encoding="utf-8-sig", newline="")
    assert [text for sheet in sheets_of(file)[1] for text in sheet.texts] == [text for _, text in cells]


def test_bad_rows_have_reasons(folder: Path) -> None:
    """
    A row that cannot be scored is kept with its line, its reason and its bytes; those beside it are scored.
    """
    bad = [b'{"text": "open', b'{"text": null}', b'{"text": 5}', b'{"other": "x"}', b"[1]", b'{"text": "\xe9"}']
    bad += [b'{"text": "\\ud800"}', b'{"text": "' + b"x" * 5_000_000 + b'"}']
    file = folder / "bad.jsonl"
    file.write_bytes(b"\n".join(line for one in bad for line in (one, b'{"text": "good"}')))
    _, [sheet] = sheets_of(file, 2**30)
    assert sheet.texts == ["good"] * len(bad)
    assert [(row.line, row.reason) for row in sheet.rejected] == [
        (1, "broken JSON"),
        (3, "no text"),
        (5, "not a string"),
        (7, "no text"),
        (9, "not an object"),
        (11, "not UTF-8"),
        (13, "broken JSON"),
        (15, "too long"),
    ]
    assert [row.raw for row in sheet.rejected] == [*bad[:-1], None]
    assert json.loads(sheet.rejected[5].to_json("f"))["raw_base64"]


def test_an_open_quote_takes_no_other_row(folder: Path) -> None:
    """
    A quote that is never closed costs its own line, however many follow.
    """
    file = folder / "open.csv"
    file.write_bytes(b'id,text\n1,"open\n' + b"2,good\n" * 1000 + b"3," + b"x" * MAX_RECORD_BYTES + b"\n4,good\n")
    texts = [text for sheet in sheets_of(file, 4000)[1] for text in sheet.texts]
    rejected = [(row.line, row.reason) for sheet in sheets_of(file, 4000)[1] for row in sheet.rejected]
    assert texts == ["good"] * 1001
    assert rejected == [(2, "broken CSV"), (1003, "too long")]
    assert sheets_of(file, 4000)[1][0].rejected[0].detail == "a quote that is not closed"


def test_parquet_of_any_kinds_of_fields(folder: Path) -> None:
    """
    JSON Lines become Parquet with one type a column over all rows; what has no common type stays as JSON.
    """
    rows = [{"text": "a", "n": 1, "x": [1]}, {"text": "b", "n": 1.5, "x": "s"}, {"text": "c", "new": True, "n": None}]
    file = folder / "kinds.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    job, sheets = sheets_of(file, as_parquet=True)
    tables = [pq.read_table(pa.BufferReader(sheet.render(job, answers(1)))) for sheet in sheets]
    assert pa.concat_tables(tables).drop_columns(job.added).to_pylist() == [
        {"text": "a", "n": 1.0, "x": "[1]", "new": None},
        {"text": "b", "n": 1.5, "x": '"s"', "new": None},
        {"text": "c", "n": None, "x": None, "new": True},
    ]


def test_parquet_has_every_digit(folder: Path) -> None:
    """
    An integer of JSON Lines keeps its digits in Parquet, whatever other numbers the field has.
    """
    numbers = [2**53 + 1, 1, 2**63 - 1]
    for more in ([], [0.5]):
        file = folder / "digits.jsonl"
        file.write_text("\n".join(json.dumps({"text": "a", "n": number}) for number in numbers + more))
        job, sheets = sheets_of(file, as_parquet=True)
        tables = [pq.read_table(pa.BufferReader(sheet.render(job, answers(1)))) for sheet in sheets]
        found = pa.concat_tables(tables).column("n").to_pylist()
        assert found == ([*map(json.dumps, numbers + more)] if more else numbers)


def test_rejected_rows_change_no_column(folder: Path) -> None:
    """
    What is rejected has no part in what a field of the others becomes in Parquet.
    """
    file = folder / "bad.jsonl"
    file.write_text("\n".join(map(json.dumps, [{"text": "good", "n": 1}, {"text": 5, "n": "x"}])))
    job, [sheet, _] = sheets_of(file, as_parquet=True)
    table = pq.read_table(pa.BufferReader(sheet.render(job, answers(1))))
    assert table.select(["text", "n"]).to_pylist() == [{"text": "good", "n": 1}]


def test_parquet_of_long_rows_is_read_bit_by_bit(folder: Path) -> None:
    """
    However many rows a row group has, no more of them are in memory than long rows make a part.
    """
    file = folder / "long.parquet"
    texts = [f"{number:05}" * 4000 for number in range(1000)]
    pq.write_table(pa.table({"text": texts}), file, use_dictionary=False, write_batch_size=16)
    place = place_of(str(file))
    part = survey([place], "text", 400_000, lambda _bytes: None).parts[-1]
    usual = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counted)
    try:
        assert parquet.read(place, part, "text").texts == texts[part.start :]
    finally:
        pa.set_memory_pool(usual)
    assert counted.max_memory() < sum(map(len, texts)) / 4


def test_parquet_of_any_type_loses_its_bad_rows(folder: Path) -> None:
    """
    Bad rows are left out of columns of any type, those that pyarrow computes nothing of included.
    """
    table = pa.table({"text": pa.array(["a", None, "b"], pa.string_view()), "n": pa.array([[1], [2], []])})
    file = folder / "view.parquet"
    pq.write_table(table, file)
    job, [sheet] = sheets_of(file, 2**20)
    scored = pq.read_table(pa.BufferReader(sheet.render(job, answers(2))))
    assert scored.select(["text", "n"]).to_pylist() == [{"text": "a", "n": [1]}, {"text": "b", "n": []}]


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=50), st.integers(1, 20), st.integers(1, 400))
def test_parquet_rows_are_kept(folder: Path, texts: list[str | None], group: int, part_bytes: int) -> None:
    """
    The rows of Parquet come in order, with their other columns, whatever its row groups; those without a text apart.
    """
    table = pa.table({"n": list(range(len(texts))), "text": pa.array(texts, pa.string()).dictionary_encode()})
    file = folder / "rows.parquet"
    pq.write_table(table, file, row_group_size=group)
    job, sheets = sheets_of(file, part_bytes)
    scored = [pq.read_table(pa.BufferReader(sheet.render(job, answers(len(sheet.texts))))) for sheet in sheets]
    found = [row for part in scored for row in part.select(["n", "text"]).to_pylist()]
    assert found == [row for row in table.to_pylist() if row["text"] is not None]
    assert [row.line - 1 for sheet in sheets for row in sheet.rejected] == [
        index for index, text in enumerate(texts) if text is None
    ]


def parquet_of(names: list[str]) -> bytes:
    """
    A file with a text in each column.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table([["x"]] * len(names), names=names), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"id,other\n1,x\n", "it has: id, other"),
        ("a.csv", b"", "is empty"),
        ("a.csv", "id,text\n".encode("utf-16"), "UTF-16"),
        ("a.csv", "id,text\n".encode("utf-16-le"), "UTF-16"),
        ("a.jsonl", '{"text": "x"}\n'.encode("utf-16"), "UTF-16"),
        ("a.csv", b"id,text\r1,x\r", "line feed"),
        ("a.csv", b"text,text\n", "2 columns 'text'"),
        ("a.jsonl", b'{"id": 1}\n', "it has: id"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.parquet", parquet_of(["text", "text"]), "2 columns 'text'"),
        ("a.csv", ",".join(map(str, range(100_000))).encode() + b"\n", "18, 19 and 99,980 more"),
    ],
)
def test_unusable_files_are_told(folder: Path, name: str, content: bytes, told: str) -> None:
    """
    A file that has no such column, or none at all, is told in one line that names it.
    """
    (folder / name).write_bytes(content)
    with pytest.raises(Failure) as failure:
        sheets_of(folder / name)
    assert told in str(failure.value)
    assert str(folder / name) in str(failure.value)
    assert "\n" not in str(failure.value)


def test_new_columns_hide_none(folder: Path) -> None:
    """
    Where the input has a column of a new one's name, all new ones are called otherwise.
    """
    file = folder / "names.csv"
    file.write_bytes(b"text,label,predicted_revision\n")
    assert sheets_of(file)[0].added[:2] == ["predicted_predicted_label", "predicted_predicted_score_NO"]
