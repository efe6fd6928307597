import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caching.texts import read
from local.supervisor import Failure

blank_or_not = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
one_line = st.text(st.characters(exclude_characters="\0\n\r", codec="utf-8"), max_size=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder for files that each example writes anew.
    """
    return tmp_path_factory.mktemp("texts")


def texts_of(file: Path, content: str, column: str | None) -> list[str]:
    """
    The texts that are read from a file of this content.
    """
    file.write_text(content, encoding="utf-8", newline="")
    return list(read(file, column).first_line)


def kept(texts: list[str]) -> list[str]:
    """
    What is expected of a file of these texts.
    """
    return list(dict.fromkeys(text for text in texts if text.strip()))


@given(st.lists(one_line))
@example(["\u2028 one, two ", "\x0b", '"'])
def test_lines_are_texts(folder: Path, texts: list[str]) -> None:
    """
    Each line is a text as it stands, once; blank ones are none, a byte order mark is none.
    """
    content = "\ufeff" + "\r\n".join([*texts, "end"]) + "\r\n"
    assert texts_of(folder / "texts.txt", content, None) == kept([*texts, "end"])


@given(st.lists(blank_or_not))
def test_csv_texts_are_exact(folder: Path, texts: list[str]) -> None:
    """
    A text of a CSV is what its writer was given, line breaks and quotes included.
    """
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerows([("label", "text"), *((1, text) for text in [*texts, "end"])])
    assert texts_of(folder / "texts.csv", content.getvalue(), "text") == kept([*texts, "end"])


@given(st.lists(one_line.filter(lambda text: "\t" not in text)))
@example(['"'])
def test_tsv_texts_are_exact(folder: Path, texts: list[str]) -> None:
    """
    A text of a table of tabs is what stands between them: quotes quote nothing there.
    """
    content = "".join(f"{text}\t1\n" for text in ["text", *texts, "end"])
    assert texts_of(folder / "texts.tsv", content, "text") == kept([*texts, "end"])


@given(st.lists(blank_or_not), st.booleans())
def test_json_texts_are_exact(folder: Path, texts: list[str], escaped: bool) -> None:
    """
    A text of JSON objects is their string, escaped or not.
    """
    lines = [json.dumps({"n": 1, "text": text}, ensure_ascii=escaped) for text in [*texts, "end"]]
    assert texts_of(folder / "texts.jsonl", "\n\n".join(lines), "text") == kept([*texts, "end"])


def test_lines_are_counted(folder: Path) -> None:
    """
    A text's line is that of its first appearance, counted from one with those that are left out.
    """
    file = folder / "texts.txt"
    file.write_text("one\n\ntwo\none\n")
    texts = read(file, None)
    assert (texts.first_line, texts.repeated) == ({"one": 1, "two": 3}, 1)


@pytest.mark.parametrize(
    ("name", "content", "column", "word"),
    [
        ("none.txt", None, None, "No such file"),
        ("empty.txt", b" \n\n", None, "no text"),
        ("latin.txt", b"caf\xe9", None, "UTF-8"),
        ("binary.txt", b"\x00\x01", None, "no text file"),
        ("table.csv", b"text,label\na,1", None, "--column"),
        ("column.csv", b"text,label\na,1", "words", "text, label"),
        ("quote.csv", b'text\n"a\nb\n', "text", "quote.csv"),
        ("short.tsv", b"label\ttext\n1", "text", "line 2"),
        ("number.jsonl", b'{"text": "a"}\n{"text": 1}', "text", "line 2"),
        ("none.jsonl", b'{"text": "a"}\nnone', "text", "line 2"),
        ("list.jsonl", b"[]", "text", "line 1"),
    ],
)
def test_other_files_are_refused(folder: Path, name: str, content: bytes | None, column: str | None, word: str) -> None:
    """
    A file that does not hold the texts that were asked for is refused by name, with what is wrong.
    """
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(Failure, match=word) as refused:
        read(folder / name, column)
    assert name in str(refused.value)


def test_texts_of_any_length(folder: Path) -> None:
    """
    A text may be longer than csv reads by itself.
    """
    assert texts_of(folder / "long.csv", f"text\n{'a' * 200_000}\n", "text") == ["a" * 200_000]
