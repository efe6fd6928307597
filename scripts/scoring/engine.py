"""
The predictor's own engine, kept busy: texts → probabilities on all cores, and which of them are cut.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tokenizers import Tokenizer

from local.supervisor import Failure
from predictor import classifier
from predictor.artifact import ArtifactError, open_artifact
from predictor.settings import PredictorSettings
from predictor.tokenizer import TextTokenizer

_SLICE_CHARACTERS = 1024 * 1024
_BEGINNING_CHARACTERS = 64 * 1024

TokenIds = list[int]


class Engine:
    """
    A loaded model.

    Args:
        settings: the predictor's.
        threads: batches computed at once.
        computed: told of texts, batch by batch.

    Raises:
        Failure: there is no such model.
    """

    def __init__(self, settings: PredictorSettings, *, threads: int, computed: Callable[[int], None]) -> None:
        try:
            artifact = open_artifact(settings.model_dir, numeric_mode=settings.numeric_mode)
            self._classify = classifier.load(artifact, settings.numeric_mode).classify
            self._tokenizer = TextTokenizer(artifact, threads=threads)
        except ArtifactError as error:
            raise Failure(str(error)) from None

        self._max_tokens = artifact.max_tokens
        self._uncut: Any = Tokenizer.from_file(str(artifact.path / "tokenizer.json"))
        self._uncut.no_truncation()
        self._uncut.no_padding()
        self._max_batch_tokens = settings.max_batch_tokens
        self._computed = computed
        self._cores = ThreadPoolExecutor(threads, thread_name_prefix="compute")

    def close(self) -> None:
        """
        Stop computing.
        """
        self._cores.shutdown(cancel_futures=True)
        self._tokenizer.close()

    async def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """
        Token ids of each text, in order.
        """
        token_ids: list[TokenIds] = []
        characters, begin = 0, 0
        for end, text in enumerate(texts, 1):
            characters += len(text)
            if characters >= _SLICE_CHARACTERS or end == len(texts):
                token_ids += await self._tokenizer.encode(list(texts[begin:end]))
                characters, begin = 0, end
        return token_ids

    def is_cut(self, text: str, token_ids: TokenIds) -> bool:
        """
        Whether a text has more tokens than the model takes.
        """
        if len(token_ids) < self._max_tokens:
            return False
        # a long text's beginning tells, as a rule
        beginnings = (text[:_BEGINNING_CHARACTERS], text)
        return any(len(self._uncut.encode(beginning).ids) > self._max_tokens for beginning in beginnings)

    async def probabilities(self, texts: Sequence[TokenIds]) -> list[list[float]]:
        """
        Probabilities of each text, in order, L of them.

        Not through the predictor's batcher, whose batches depend on when each thread is free: the same texts make the
        same batches here, and so the same digits, in every run.
        """
        loop = asyncio.get_running_loop()
        batches = [loop.run_in_executor(self._cores, self._compute, batch) for batch in self._batches(texts)]
        return [row for rows in await asyncio.gather(*batches) for row in rows]

    def _batches(self, texts: Sequence[TokenIds]) -> Iterator[list[TokenIds]]:
        batch: list[TokenIds] = []
        tokens = 0
        for text in texts:
            if batch and tokens + len(text) > self._max_batch_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append(text)
            tokens += len(text)
        if batch:
            yield batch

    def _compute(self, batch: list[TokenIds]) -> list[list[float]]:
        rows: list[list[float]] = self._classify(batch).tolist()
        self._computed(len(batch))
        return rows
