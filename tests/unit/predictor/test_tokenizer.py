import asyncio
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from transformers import AutoTokenizer

from predictor.artifact import Artifact
from predictor.settings import EMBEDDED_MODEL
from predictor.tokenizer import TextTokenizer
from serving.errors import Overloaded

SHORT = st.text(max_size=40) | st.text("aB éß中😀\u0301\u200b[]CLSEP'.,!?#-\t\n", max_size=40)
LONG = st.builds(lambda text, times: text * times, SHORT, st.integers(1, 700))


@cache
def _reference() -> Any:
    return AutoTokenizer.from_pretrained(EMBEDDED_MODEL, local_files_only=True)


@pytest.fixture(scope="module")
def tokenizer(artifact: Artifact) -> Iterator[TextTokenizer]:
    """
    The embedded model's tokenizer.
    """
    tokenizer = TextTokenizer(artifact, threads=1)
    yield tokenizer
    tokenizer.close()


def _counted() -> float:
    return REGISTRY.get_sample_value("sentiment_predictor_truncated_texts_total") or 0.0


@given(st.lists(SHORT | LONG, min_size=1, max_size=4))
async def test_ids(tokenizer: TextTokenizer, texts: list[str]) -> None:
    """
    Token ids are transformers' own with `truncation=True`, text by text.
    """
    assert await tokenizer.encode(texts) == _reference()(texts, truncation=True)["input_ids"]


@given(st.lists(SHORT | LONG, min_size=1, max_size=4))
async def test_truncation_counted(tokenizer: TextTokenizer, texts: list[str]) -> None:
    """
    Each text that is cut, and no other, is counted once.
    """
    before = _counted()
    await tokenizer.encode(texts)
    assert _counted() - before == sum(len(ids) > 512 for ids in _reference()(texts, verbose=False)["input_ids"])


@pytest.mark.parametrize("words", [0, 1, 509, 510, 511, 5000])
async def test_edge(tokenizer: TextTokenizer, words: int) -> None:
    """
    A text is cut at 512 tokens, at its end, the two special ones included.
    """
    (ids,) = await tokenizer.encode(["good " * words])
    assert len(ids) == min(words + 2, 512)
    assert (ids[0], ids[-1]) == (101, 102)


async def test_text_without_words_is_read_in_part(tokenizer: TextTokenizer) -> None:
    """
    Of a text without words no more than the first 65,536 characters are read, and it counts as cut.
    """
    before = _counted()
    endless, behind_blanks = await tokenizer.encode(["a" * 10**6, " " * 65_536 + "good"])
    assert endless == _reference()("a" * 10**6)["input_ids"]
    assert behind_blanks == _reference()("")["input_ids"]
    assert _counted() - before == 2


async def test_off_the_loop(artifact: Artifact) -> None:
    """
    Encoding runs in a thread of its own, not on the event loop's, and the thread ends with `close`.
    """
    tokenizer, before = TextTokenizer(artifact, threads=1), set(threading.enumerate())
    await tokenizer.encode(["a"])
    (thread,) = set(threading.enumerate()) - before
    assert thread.name.startswith("tokenizer")
    tokenizer.close()
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "text",
    [
        "word " * 20_000,
        "x" * 50_000,
        "x" * 50_000 + " word" * 9_000,
        "word\n" * 9_000,
        "中文" * 20_000,
        "é\u0301" * 20_000,
        "word " * 300 + "x" * 50_000,
        "word " * 510 + "x" * 50_000,
    ],
)
async def test_very_long(tokenizer: TextTokenizer, text: str) -> None:
    """
    A text far beyond the model's length has transformers' ids too, with spaces, without, and late, and counts as cut.
    """
    before = _counted()
    [ids] = await tokenizer.encode([text])
    [expected] = _reference()([text], truncation=True)["input_ids"]
    assert ids == expected
    assert _counted() - before == (len(ids) == 512)


async def test_waiting_is_bounded(artifact: Artifact) -> None:
    """
    Beyond the bound on waiting text a request is refused at once, and none that waits already is harmed.
    """
    tokenizer = TextTokenizer(artifact, threads=1)
    large = ["word " * 1_000_000] * 3
    waiting = asyncio.create_task(tokenizer.encode(large))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await tokenizer.encode(large)
    assert [len(ids) for ids in await waiting] == [512] * 3
    assert len(await tokenizer.encode(large)) == 3
    tokenizer.close()
