"""
Texts → token ids, off the event loop.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tokenizers import Encoding, Tokenizer

from predictor.artifact import Artifact, ArtifactError
from predictor.metrics import TRUNCATED_TEXTS
from serving.errors import Overloaded

_CHUNK_CHARACTERS = 64 * 1024
_MAX_WAITING_CHARACTERS = 16 * 1024 * 1024
_LONG_TEXT_CHARACTERS = 16 * 1024
# of a text without words, as of blanks or of one letter a million times; 128 a token of the usual models
_MOST_CHARACTERS = 4 * _LONG_TEXT_CHARACTERS


class TextTokenizer:
    """
    The model's own tokenizer, cutting at the model's most tokens.

    Threads of its own: the Rust code lets go of the GIL, so the loop stays free. Requests are encoded in chunks and so
    take turns, and what waits is bounded, as it is in the queue behind.

    Args:
        artifact: the model directory.
        threads: chunks encoded at once.

    Raises:
        ArtifactError: `tokenizer.json` is none.
    """

    def __init__(self, artifact: Artifact, *, threads: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(artifact.path / "tokenizer.json"))
        except Exception as error:  # what tokenizers raises is a bare Exception
            raise ArtifactError(f"{artifact.path}/tokenizer.json cannot be loaded: {error}") from error
        self._tokenizer.enable_truncation(artifact.max_tokens)
        self._tokenizer.no_padding()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="tokenizer")
        self._waiting_characters = 0

    async def encode(self, texts: list[str]) -> list[list[int]]:
        """
        Token ids of each text, special tokens included, in order; a cut at the end is counted.

        Returns:
            N lists of 1 to `max_tokens` ids.

        Raises:
            Overloaded: 429, too much text waits already.
        """
        characters = sum(map(len, texts))
        if self._waiting_characters and self._waiting_characters + characters > _MAX_WAITING_CHARACTERS:
            raise Overloaded("too much text waits to be read; try again shortly")
        self._waiting_characters += characters
        try:
            token_ids: list[list[int]] = []
            for chunk in _chunks(texts):
                loop = asyncio.get_running_loop()
                token_ids += await loop.run_in_executor(self._threads, self._encode, chunk)
            return token_ids
        finally:
            self._waiting_characters -= characters

    def close(self) -> None:
        """
        End the threads.
        """
        self._threads.shutdown(cancel_futures=True)

    def _encode(self, texts: list[str]) -> list[list[int]]:
        beginnings = [self._beginning(text) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(beginnings)
        parts = zip(texts, beginnings, encodings, strict=True)
        TRUNCATED_TEXTS.inc(sum(len(read) < len(text) or _is_cut(encoding) for text, read, encoding in parts))
        return [encoding.ids for encoding in encodings]

    def _beginning(self, text: str) -> str:
        """
        As much of a long text as its tokens come from.

        No tokenizer of these models looks across words: once the last token that is kept lies in a word with another
        behind it, whatever follows adds nothing. Where no such word comes in time the text is cut nevertheless.
        """
        if len(text) <= _LONG_TEXT_CHARACTERS or _is_settled(self._tokenizer.encode(text[:_LONG_TEXT_CHARACTERS])):
            return text[:_LONG_TEXT_CHARACTERS]
        return text[:_MOST_CHARACTERS]


def _is_settled(encoding: Encoding) -> bool:
    kept, cut = ([word for word in part.word_ids if word is not None] for part in (encoding, _last(encoding)))
    return bool(kept and cut) and cut[-1] > kept[-1]


def _last(encoding: Encoding) -> Encoding:
    return encoding.overflowing[-1] if encoding.overflowing else encoding


def _is_cut(encoding: Encoding) -> bool:
    return bool(encoding.overflowing)


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        if chunk and characters + len(text) > _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
        chunk.append(text)
        characters += len(text)
    if chunk:
        yield chunk
