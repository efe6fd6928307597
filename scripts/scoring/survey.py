"""
The first look at the input: what its files are, which columns they have, and where each part begins.

Every byte is read once for this, so that nothing wrong comes up after days: the digest by which a later run knows the
input again, the columns, the number of rows. A part is some 200 bytes of memory.
"""

from dataclasses import dataclass, field
from itertools import zip_longest

from local.supervisor import Failure
from scoring import parquet
from scoring.delimited import Delimited
from scoring.hashed import Hashed, Tell
from scoring.job import Part, Source
from scoring.json_lines import JsonLines
from scoring.lines import Lines
from scoring.places import Place, failures
from scoring.sources import suffix_of

_MOST_FIELDS = 10_000
_MOST_TOLD = 20
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Span = tuple[int, int, int, int]
"""
First and end of a part, its first line's number, and its rows.
"""


@dataclass
class Corpus:
    """
    What was found.

    Attributes:
        names: the columns; of JSON Lines, every field that a row has.
        told: the same with their types, where they have some.
        kinds: what each field of JSON Lines holds in all rows together.
    """

    suffix: str
    sources: list[Source] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """
        All rows, good and bad.
        """
        return sum(part.rows for part in self.parts)


def survey(places: list[Place], column: str, part_bytes: int, tell: Tell) -> Corpus:
    """
    Read all files.

    Raises:
        Failure: one cannot be read, or lacks the column, or has other columns than the first.
    """
    corpus = Corpus(suffix_of(places[0].path))
    look = _look_at_table if corpus.suffix == "parquet" else _look_at_lines
    for place in places:
        if not (info := place.info).is_file:
            raise Failure(f"{place.path} is no file, or no longer there; leave it out of INPUT")
        with place.open() as file, failures(place.path):
            stream = Hashed(file, tell)
            header, spans = look(corpus, place, stream, column, part_bytes)
            stream.finish()
        source = len(corpus.sources)
        corpus.parts += [Part(len(corpus.parts) + index, source, *span) for index, span in enumerate(spans)]
        corpus.sources.append(Source(place, stream.size, stream.digest.hexdigest(), info.mtime_ns, header))
    if corpus.kinds:
        corpus.names = list(corpus.kinds)
        _check_column(places[0], column, corpus.names)
    return corpus


def _look_at_table(
    corpus: Corpus, place: Place, _stream: Hashed, column: str, part_bytes: int
) -> tuple[bytes, list[Span]]:
    schema = parquet.schema(place)
    _check_column(place, column, schema.names)
    if not parquet.is_text(schema.field(column).type):
        raise Failure(f"{place.path}: the column '{column}' holds {schema.field(column).type}, and not text")
    _check_same(corpus, place, schema.names, [f"{field.name} ({field.type})" for field in schema])
    return b"", [(start, stop, start + 1, stop - start) for start, stop in parquet.spans(place, part_bytes)]


def _look_at_lines(
    corpus: Corpus, place: Place, stream: Hashed, column: str, part_bytes: int
) -> tuple[bytes, list[Span]]:
    form = form_of(corpus.suffix, column, corpus.kinds)
    lines = Lines(stream)
    _check_encoding(place, lines)
    form.begin(lines, place.path)
    if isinstance(form, Delimited):
        _check_column(place, column, form.names)
        _check_same(corpus, place, form.names, form.names)
    spans: list[Span] = []
    start, first, rows = 0, 0, 0
    for row in form.records(lines):
        if rows and row.offset - start >= part_bytes:
            spans.append((start, row.offset, first, rows))
            rows = 0
        if not rows:
            start, first = row.offset, row.line
        rows += 1
        if len(corpus.kinds) > _MOST_FIELDS:
            raise Failure(f"{place.path}: line {row.line}: over {_MOST_FIELDS:,} fields so far; are names data there?")
    if rows:
        spans.append((start, lines.offset, first, rows))
    return form.header, spans


def form_of(suffix: str, column: str, kinds: dict[str, str], header: bytes = b"") -> Delimited | JsonLines:
    """
    The reader of a file of lines.
    """
    return JsonLines(column, kinds) if suffix == "jsonl" else Delimited(suffix, column, header)


def _check_encoding(place: Place, lines: Lines) -> None:
    first = next(lines, None)
    if first is None:
        return
    if first.raw.startswith(_UTF16) or b"\0" in first.raw[:2]:  # of which many have no mark
        raise Failure(f"{place.path} is UTF-16; convert it first, as with iconv -f UTF-16 -t UTF-8")
    lines.push_back([first])


def _check_column(place: Place, column: str, names: list[str]) -> None:
    if not (count := names.count(column)):
        told = ", ".join(names[:_MOST_TOLD]) or "none"
        more = f" and {len(names) - _MOST_TOLD:,} more" if names[_MOST_TOLD:] else ""
        raise Failure(f"{place.path} has no column '{column}'; it has: {told}{more}")
    if count > 1:
        raise Failure(f"{place.path} has {count} columns '{column}'; rename all but one")


def _check_same(corpus: Corpus, place: Place, names: list[str], told: list[str]) -> None:
    corpus.names = corpus.names or names
    corpus.told = corpus.told or told
    for number, (here, there) in enumerate(zip_longest(told, corpus.told, fillvalue="none"), 1):
        if here != there:
            first = f"{corpus.sources[0].place.path} {there}"
            raise Failure(f"{place.path} has other columns: as column {number} {here}, and {first}; score them apart")
