"""
Any sequence-classification checkpoint, through transformers' own forward in padded batches.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification
from transformers.utils.logging import disable_progress_bar

from predictor.artifact import Artifact

_MOST_PADDING = 1.25


class TransformersClassifier:
    """
    A model that the packed forward does not know.
    """

    def __init__(self, artifact: Artifact) -> None:
        disable_progress_bar()
        self._model = AutoModelForSequenceClassification.from_pretrained(
            artifact.path, dtype=torch.float32, local_files_only=True
        ).eval()
        self._padding_id = int(artifact.config.get("pad_token_id") or 0)
        self._labels = len(artifact.labels)

    @torch.inference_mode()
    def classify(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of a batch.

        Args:
            batch: token ids of B ≥ 1 texts, of any lengths.

        Returns:
            float32 (B, L), rows sum to 1.
        """
        probabilities = np.empty((len(batch), self._labels), dtype=np.float32)
        for rows in _alike(batch):
            probabilities[rows] = torch.softmax(self._logits([batch[row] for row in rows]), dim=-1).numpy()
        return probabilities

    def _logits(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        shape = len(texts), max(map(len, texts))
        token_ids = torch.full(shape, self._padding_id)  # (B, T)
        attention_mask = torch.zeros(shape, dtype=torch.long)  # (B, T)
        for row, ids in enumerate(texts):
            token_ids[row, : len(ids)] = torch.tensor(ids)
            attention_mask[row, : len(ids)] = 1
        logits: torch.Tensor = self._model(input_ids=token_ids, attention_mask=attention_mask).logits
        return logits.float()


def _alike(batch: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """
    Rows of the batch by length, cut where padding would make a text longer than `_MOST_PADDING` times itself.
    """
    rows: list[int] = []
    for row in sorted(range(len(batch)), key=lambda row: len(batch[row])):
        if rows and len(batch[row]) > _MOST_PADDING * len(batch[rows[0]]):
            yield rows
            rows = []
        rows.append(row)
    yield rows
