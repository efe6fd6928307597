"""
The packed forward: an encoder without padding, for the families in `families`.

A batch's tokens lie end to end, so linears and layer norms run on (T, D) and nothing is spent on padding. Attention
runs once per group of equal lengths, on views. In the last layer only each text's first token goes on beyond keys and
values, since the head reads nothing else. The residual stream and the layer norms are float32 in every numeric mode.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding, scaled_dot_product_attention

from predictor.artifact import Artifact
from predictor.classifier import weights
from predictor.classifier.packing import Packing, pack
from predictor.classifier.weights import Layer

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PackedClassifier:
    """
    A model of one of the known families.

    Args:
        artifact: the model directory.
        numeric_mode: `fp32`, or `bf16`: linears and attention in bfloat16.
        tensors: of the directory's files, where they are in memory; else they are read.
    """

    def __init__(self, artifact: Artifact, *, numeric_mode: str, tensors: Mapping[str, Tensor] | None = None) -> None:
        self._weights = weights.load(artifact, _DTYPES[numeric_mode], tensors or weights.read(artifact))

    @torch.inference_mode()
    def classify(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of a batch.

        Args:
            batch: token ids of B ≥ 1 texts, of any lengths.

        Returns:
            float32 (B, L), rows sum to 1.
        """
        probabilities: NDArray[np.float32] = torch.softmax(self.logits(batch), dim=-1).numpy()
        return probabilities

    @torch.inference_mode()
    def logits(self, batch: Sequence[Sequence[int]]) -> Tensor:
        """
        Logits of a batch, float32 (B, L); arguments as `classify`.
        """
        packing = pack(batch, self._weights.dtype)
        *layers, last = self._weights.layers
        x = self._embed(packing)  # (T, D)
        for layer in layers:
            x = self._feed_forward(layer, layer.attention_norm(x.add_(self._attend(layer, x, packing))))
        first = x.index_select(0, packing.first_tokens)  # (B, D)
        x = self._feed_forward(last, last.attention_norm(first.add_(self._attend_first(last, x, first, packing))))
        packed = self._weights.head_out(self._weights.head_hidden(x))  # (B, L)
        return torch.empty_like(packed).index_copy_(0, packing.order, packed)[: len(batch)]

    def _embed(self, packing: Packing) -> Tensor:
        words = embedding(packing.token_ids, self._weights.words).float()
        return self._weights.embeddings_norm(words.add_(embedding(packing.positions, self._weights.positions)))

    def _attend(self, layer: Layer, x: Tensor, packing: Packing) -> Tensor:
        """
        Attention of every token, (T, D).
        """
        mixed = layer.mixed(x.to(self._weights.dtype))  # (T, 3 D)
        attended = []
        for block in packing.blocks:
            query, key, value = self._heads(block.grid.spread(mixed[block.tokens]), 3)
            attended.append(block.grid.collect(_attention(query, key, value, block.mask)))
        return layer.attention_out(_joined(attended, len(x)))

    def _attend_first(self, layer: Layer, x: Tensor, first: Tensor, packing: Packing) -> Tensor:
        """
        Attention of each text's first token, (B, D).
        """
        mixed = layer.mixed(x.to(self._weights.dtype))  # (T, 2 D)
        queries = layer.query(first.to(self._weights.dtype)) if layer.query else first  # (B, D)
        attended = []
        for block in packing.blocks:
            key, value = self._heads(block.grid.spread(mixed[block.tokens]), 2)
            [query] = self._heads(block.first_grid.spread(queries[block.texts]), 1)
            attended.append(block.first_grid.collect(_attention(query, key, value, block.first_mask)))
        return layer.attention_out(_joined(attended, len(first)))

    def _feed_forward(self, layer: Layer, x: Tensor) -> Tensor:
        return layer.ffn_norm(x.add_(layer.ffn_out(layer.ffn_in(x.to(self._weights.dtype)))))

    def _heads(self, mixed: Tensor, parts: int) -> tuple[Tensor, ...]:
        """
        (N, S, parts · D) → `parts` of (N, heads, S, D / heads), views.
        """
        return mixed.view(*mixed.shape[:2], parts, self._weights.heads, -1).permute(2, 0, 3, 1, 4).unbind()


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """
    Of (N, heads, Q, D / heads) queries over S keys and values, (N, Q, D).
    """
    return scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)


def _joined(attended: list[Tensor], rows: int) -> Tensor:
    """
    Each (·, D), end to end; rows that nobody attended are 0.
    """
    spare = rows - sum(map(len, attended))
    if spare:
        attended = [*attended, attended[0].new_zeros(spare, attended[0].shape[1])]
    return attended[0] if len(attended) == 1 else torch.cat(attended)
