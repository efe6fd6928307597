"""
A checkpoint of one of the families, prepared for the packed forward.
"""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from predictor.artifact import Artifact
from predictor.classifier.families import FAMILIES, Family
from predictor.classifier.linear import Activation, Linear, Prepare, fastest, plain

_ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "gelu": functional.gelu,
        "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
        "relu": functional.relu,
        "tanh": torch.tanh,
    }
)
_DISTILBERT_EPSILON = 1e-12
# What a checkpoint of these families holds; integers are of tables that the forward makes itself.
_STORED = MappingProxyType({"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64})


@dataclass(frozen=True, slots=True)
class Norm:
    """
    A layer norm over the last dimension, float32.
    """

    weight: Tensor
    bias: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        """
        (·, D) → (·, D).
        """
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


@dataclass(frozen=True, slots=True)
class Layer:
    """
    One encoder layer.

    Attributes:
        mixed: (·, D) → query, key and value side by side (·, 3 D); in the last layer key and value, (·, 2 D).
        query: (·, D) → (·, D), in the last layer alone.
    """

    mixed: Linear
    query: Linear | None
    attention_out: Linear
    attention_norm: Norm
    ffn_in: Linear
    ffn_out: Linear
    ffn_norm: Norm


@dataclass(frozen=True, slots=True)
class Weights:
    """
    All that the forward needs.

    Attributes:
        dtype: of the linears and the attention.
        words: (V, D), in the file's own type; a look-up converts it exactly.
        positions: (P, D) from a text's start, float32, with the embedding of token type 0 in it.
        head_hidden, head_out: the head's two linears, float32.
    """

    dtype: torch.dtype
    heads: int
    words: Tensor
    positions: Tensor
    embeddings_norm: Norm
    layers: Sequence[Layer]
    head_hidden: Linear
    head_out: Linear


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """
    Named tensors, and how linears of them are prepared.
    """

    tensors: Mapping[str, Tensor]
    epsilon: float
    dtype: torch.dtype
    prepare: Prepare

    def linear(self, *names: str, activation: Activation | None = None) -> Linear:
        """
        The linears of these names, side by side, as one.
        """
        return self.prepare(*stacked(self.tensors, names, self.dtype), activation)

    def norm(self, name: str) -> Norm:
        return Norm(_own(self.tensors[f"{name}.weight"]), _own(self.tensors[f"{name}.bias"]), self.epsilon)


def is_known(config: Mapping[str, Any]) -> bool:
    """
    Whether the packed forward runs a model of this `config.json`.
    """
    family = FAMILIES.get(_architecture(config))
    return (
        family is not None
        and config.get("position_embedding_type", "absolute") == "absolute"
        and config.get(family.activation, "gelu") in _ACTIVATIONS
    )


def load(artifact: Artifact, dtype: torch.dtype, tensors: Mapping[str, Tensor]) -> Weights:
    """
    Weights of a known model, of the tensors of its files.

    Each weight is in memory once: what the linears' implementation takes as it lies in the file stays mapped, all else
    is copied out, so that no small tensor keeps a whole file mapped beside its prepacked copy.
    """
    config = artifact.config
    family = FAMILIES[_architecture(config)]
    activation = _ACTIVATIONS[str(config.get(family.activation, "gelu"))]
    widest = stacked(tensors, [family.ffn_in.format(i=0)], dtype)
    epsilon = float(config.get("layer_norm_eps", _DISTILBERT_EPSILON))
    encoder = _Checkpoint(tensors, epsilon, dtype, fastest(*widest, activation))
    head = _Checkpoint(tensors, epsilon, torch.float32, plain)
    depth = int(config[family.layers])
    return Weights(
        dtype=dtype,
        heads=int(config[family.heads]),
        words=tensors[f"{family.embeddings}.word_embeddings.weight"].clone(),
        positions=_positions(tensors, family, config),
        embeddings_norm=encoder.norm(f"{family.embeddings}.LayerNorm"),
        layers=[_layer(encoder, family, i, activation, is_last=i == depth - 1) for i in range(depth)],
        head_hidden=head.linear(family.head_hidden, activation=_ACTIVATIONS[family.head_activation]),
        head_out=head.linear(family.head_out),
    )


def stacked(tensors: Mapping[str, Tensor], names: Sequence[str], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """
    Weight (N, K) and bias (N,) of linears side by side; of one alone, without a copy where its type is right.

    The bias stays in float32, in which products are summed: rounded to bfloat16 it would be the same error for every
    token, and moved the full-shape model's probabilities on SST-2 dev by up to 2.5e-2 instead of 1.6e-2.
    """
    weights = [tensors[f"{name}.weight"].to(dtype) for name in names]
    biases = [_own(tensors[f"{name}.bias"]) for name in names]
    weight, bias = (part[0] if len(part) == 1 else torch.cat(part) for part in (weights, biases))
    return weight, bias


def _layer(checkpoint: _Checkpoint, family: Family, index: int, activation: Activation, *, is_last: bool) -> Layer:
    query, key, value = (name.format(i=index) for name in (family.query, family.key, family.value))
    return Layer(
        mixed=checkpoint.linear(key, value) if is_last else checkpoint.linear(query, key, value),
        query=checkpoint.linear(query) if is_last else None,
        attention_out=checkpoint.linear(family.attention_out.format(i=index)),
        attention_norm=checkpoint.norm(family.attention_norm.format(i=index)),
        ffn_in=checkpoint.linear(family.ffn_in.format(i=index), activation=activation),
        ffn_out=checkpoint.linear(family.ffn_out.format(i=index)),
        ffn_norm=checkpoint.norm(family.ffn_norm.format(i=index)),
    )


def _positions(tensors: Mapping[str, Tensor], family: Family, config: Mapping[str, Any]) -> Tensor:
    start = int(config["pad_token_id"]) + 1 if family.positions_follow_padding else 0
    positions = _own(tensors[f"{family.embeddings}.position_embeddings.weight"][start:])
    if family.has_token_types:
        positions += tensors[f"{family.embeddings}.token_type_embeddings.weight"][0].float()
    return positions


def _own(tensor: Tensor) -> Tensor:
    """
    A copy in float32.
    """
    return tensor.to(torch.float32, copy=True)


def read(artifact: Artifact) -> dict[str, Tensor]:
    """
    The tensors of a model directory, mapped.
    """
    tensors: dict[str, Tensor] = {}
    for file in sorted(artifact.path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            tensors |= {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118  # not a mapping
    return tensors


def mapped(content: NDArray[np.uint8]) -> dict[str, Tensor]:
    """
    The tensors of a file of safetensors that is in memory, without a copy, which the library would make of each.

    The format: eight bytes with the header's length, the header in JSON, and the tensors' bytes.
    """
    begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:begin].tobytes())
    header.pop("__metadata__", None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")  # nor is it written to
        return {
            name: torch.frombuffer(
                content,
                dtype=_STORED[each["dtype"]],
                count=math.prod(each["shape"]),
                offset=begin + each["data_offsets"][0],
            ).view(each["shape"])
            for name, each in header.items()
        }


def _architecture(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or [""])[0])
