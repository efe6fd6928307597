"""
A batch without padding: token ids end to end, and where each text lies among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Group:
    """
    Texts of one length, which lie side by side.

    Attributes:
        tokens: their places among the T tokens.
        texts: their places among the B texts.
    """

    tokens: slice
    texts: slice
    count: int
    length: int


@dataclass(frozen=True, slots=True)
class Packing:
    """
    B texts, sorted by length, as T tokens.

    Attributes:
        token_ids: (T,).
        positions: (T,), each token's place in its text, from 0.
        first_tokens: (B,), where each text begins.
        groups: the texts by length; attention runs once a group, on views, without a mask.
        order: (B,), the text that each packed place holds.
    """

    token_ids: Tensor
    positions: Tensor
    first_tokens: Tensor
    groups: tuple[Group, ...]
    order: Tensor


def pack(batch: Sequence[Sequence[int]]) -> Packing:
    """
    Pack the token ids of B ≥ 1 texts.
    """
    order = sorted(range(len(batch)), key=lambda index: len(batch[index]))
    groups: list[Group] = []
    starts: list[int] = []
    start = first = 0
    for length, members in groupby(len(batch[index]) for index in order):
        count = len(list(members))
        end, behind = start + count * length, first + count
        groups.append(Group(slice(start, end), slice(first, behind), count, length))
        starts.extend(range(start, end, length))
        start, first = end, behind
    return Packing(
        token_ids=torch.tensor(list(chain.from_iterable(batch[index] for index in order))),
        positions=torch.cat([torch.arange(group.length).repeat(group.count) for group in groups]),
        first_tokens=torch.tensor(starts),
        groups=tuple(groups),
        order=torch.tensor(order),
    )
