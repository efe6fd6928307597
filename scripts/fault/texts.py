"""
Texts with the right answers to them.

A text is one of a few hundred sentences, in which any number of spaces and tabs may stand between the first two words:
the tokenizer takes each such gap for one space, so the right answer is the sentence's, while the cache cannot know a
text that it has not seen. So there is no end of unseen texts whose right answers are known beforehand.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from transformer.entry import Row

SHORT_WORDS, LONG_WORDS = 6, 20
SENTENCES = 150
HOT = 40
TOLERANCE = 1e-5
_LEAST_DIFFERENCE = 1e-4
_GAP_BITS = 24

_WORDS = """
the a this that film plot story acting phone battery screen hotel room dinner soup service waiter delivery price music
book ending camera sound was is felt looked seemed tasted arrived broke worked failed love hate enjoy regret recommend
avoid great awful lovely dull brilliant terrible warm cold funny boring perfect useless fresh stale kind rude quick slow
cheap expensive never always very hardly not quite again almost and but because although
""".split()  # noqa: SIM905  # a list of a hundred strings says less


@dataclass
class Texts:
    """
    Sentences, their texts, and the right answers by revision.

    Attributes:
        labels: names of the columns, by revision.
        rows: a row of scores for each sentence, by revision.
        hot: texts that are asked again and again.
        long: sentences that take a while to compute.
        shared: texts that are in Redis and not in a transformer's own cache.
    """

    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    hot: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    shared: Iterator[str] = field(default_factory=lambda: iter(()))
    _gaps: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def learn(self, revision: str, labels: tuple[str, ...], rows: Mapping[str, Row]) -> None:
        """
        Take in a revision's answers; the first revision's tell which sentences can be told apart.
        """
        self.labels[revision], self.rows[revision] = labels, dict(rows)
        if not self.short:
            distinct = _distinct(rows)
            self.long = [text for text in distinct if len(text.split()) == LONG_WORDS]
            self.short = [text for text in distinct if len(text.split()) == SHORT_WORDS]
            self.hot = self.short[:HOT]

    def unseen(self, *, long: bool = False) -> str:
        """
        A text that nobody asked for yet.
        """
        first, rest = random.choice(self.long if long else self.short).split(" ", 1)
        number = next(self._gaps)
        gap = "".join(" \t"[number >> bit & 1] for bit in range(_GAP_BITS))
        return f"{first} {gap}{rest}"

    def row(self, revision: str, text: str) -> Row:
        """
        The right scores of a text.
        """
        return self.rows[revision][sentence_of(text)]

    def fault_of(self, texts: Sequence[str], revision: str, body: bytes) -> str | None:
        """
        What is wrong with a v1 answer that names this revision; None when it is right.
        """
        if revision not in self.rows:
            return f"an unknown revision: {revision!r}"
        try:
            predictions = orjson.loads(body)["predictions"]
            if len(predictions) != len(texts):
                return f"{len(predictions)} predictions for {len(texts)} texts"
            told = [[(pair["label"], float(pair["score"])) for pair in prediction] for prediction in predictions]
        except (ValueError, KeyError, TypeError):
            return f"no predictions: {body[:100]!r}"
        for text, pairs in zip(texts, told, strict=True):
            if not self._is_right(revision, text, pairs):
                return f"{pairs} is not revision {revision}'s {self.row(revision, text)} for {sentence_of(text)!r}"
        return None

    def _is_right(self, revision: str, text: str, pairs: list[tuple[str, float]]) -> bool:
        right = sorted(zip(self.labels[revision], self.row(revision, text), strict=True), key=lambda pair: -pair[1])
        return len(pairs) == len(right) and all(
            label == right_label and abs(score - right_score) <= TOLERANCE
            for (label, score), (right_label, right_score) in zip(pairs, right, strict=True)
        )


def sentences() -> list[str]:
    """
    The sentences, the same ones in every run.
    """
    words = random.Random(7)
    lengths = [SHORT_WORDS] * SENTENCES + [LONG_WORDS] * SENTENCES
    return list(dict.fromkeys(" ".join(words.choices(_WORDS, k=length)) for length in lengths))


def sentence_of(text: str) -> str:
    """
    The sentence that a text is.
    """
    return " ".join(text.split())


def _distinct(rows: Mapping[str, Row]) -> list[str]:
    """
    Sentences none of whose scores is another's, or its own with the labels exchanged.
    """
    kept: dict[str, float] = {}
    for text, (score, *_) in rows.items():
        if all(min(abs(score - other), abs(1 - score - other)) > _LEAST_DIFFERENCE for other in kept.values()) and (
            abs(score - 0.5) > _LEAST_DIFFERENCE
        ):
            kept[text] = score
    return list(kept)
