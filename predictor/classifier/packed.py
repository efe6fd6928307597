"""
The packed forward: an encoder without padding, for the families in `families`.

A batch's tokens lie end to end, so linears and layer norms run on (T, D) and nothing is spent on padding. Attention
runs once per group of equal lengths, on views. In the last layer only each text's first token goes on beyond keys and
values, since the head reads nothing else. The residual stream and the layer norms are float32 in every numeric mode.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from predictor.artifact import Artifact
from predictor.classifier import weights
from predictor.classifier.packing import Group, Packing, pack
from predictor.classifier.weights import Layer

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PackedClassifier:
    """
    A model of one of the known families.

    Args:
        artifact: the model directory.
        numeric_mode: `fp32`, or `bf16`: linears and attention in bfloat16.
    """

    def __init__(self, artifact: Artifact, *, numeric_mode: str) -> None:
        self._weights = weights.load(artifact, _DTYPES[numeric_mode])

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
        packing = pack(batch)
        *layers, last = self._weights.layers
        x = self._embed(packing)  # (T, D)
        for layer in layers:
            x = self._feed_forward(layer, layer.attention_norm(x + self._attend(layer, x, packing)))
        first = x[packing.first_tokens]  # (B, D)
        x = self._feed_forward(last, last.attention_norm(first + self._attend_first(last, x, first, packing)))
        packed = self._weights.head_out(self._weights.head_hidden(x))  # (B, L)
        return torch.empty_like(packed).index_copy_(0, packing.order, packed)

    def _embed(self, packing: Packing) -> Tensor:
        words = self._weights.words[packing.token_ids].float()
        return self._weights.embeddings_norm(words + self._weights.positions[packing.positions])

    def _attend(self, layer: Layer, x: Tensor, packing: Packing) -> Tensor:
        """
        Attention of every token, (T, D).
        """
        mixed = layer.mixed(x.to(self._weights.dtype))  # (T, 3 D)
        context = mixed.new_empty(x.shape)
        for group in packing.groups:
            query, key, value = self._split(mixed[group.tokens], 3, group)
            _join(scaled_dot_product_attention(query, key, value), context[group.tokens])
        return layer.attention_out(context)

    def _attend_first(self, layer: Layer, x: Tensor, first: Tensor, packing: Packing) -> Tensor:
        """
        Attention of each text's first token, (B, D).
        """
        mixed = layer.mixed(x.to(self._weights.dtype))  # (T, 2 D)
        queries = layer.query(first.to(self._weights.dtype)) if layer.query else first  # (B, D)
        context = torch.empty_like(queries)
        for group in packing.groups:
            key, value = self._split(mixed[group.tokens], 2, group)
            query = queries[group.texts].view(group.count, 1, self._weights.heads, -1).transpose(1, 2)
            _join(scaled_dot_product_attention(query, key, value), context[group.texts])
        return layer.attention_out(context)

    def _feed_forward(self, layer: Layer, x: Tensor) -> Tensor:
        return layer.ffn_norm(x + layer.ffn_out(layer.ffn_in(x.to(self._weights.dtype))))

    def _split(self, mixed: Tensor, parts: int, group: Group) -> tuple[Tensor, ...]:
        """
        (count · length, parts · D) → `parts` of (count, heads, length, D / heads), views.
        """
        shaped = mixed.view(group.count, group.length, parts, self._weights.heads, -1)
        return shaped.permute(2, 0, 3, 1, 4).unbind()


def _join(attended: Tensor, context: Tensor) -> None:
    """
    (count, heads, length, D / heads) into its place, (count · length, D).
    """
    count, heads, length, width = attended.shape
    context.view(count, length, heads, width).copy_(attended.transpose(1, 2))
