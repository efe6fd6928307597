"""
A batch without padding: token ids end to end, and where each text lies among them.

Attention wants rows of equal length. Texts of one length are such rows already, as views. Short texts of many lengths
share rows of `ROW_TOKENS` under a mask: on two Xeon cores with AMX that took 0.6 (embedded model) and 0.42 times
(full shape) as long in bfloat16 as a call for each length, and as long in float32.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROW_TOKENS = 64
# From how many on tokens, and texts, are filled up to a multiple, and to which. For each number of rows of each product
# oneDNN keeps a primitive, half a MiB: little of it is code, most describes the variants of its kernel.
_TOKEN_STEPS = ((64, 16), (16, 4))
_TEXT_STEPS = ((8, 8),)

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Where n items lie among N rows of S slots.

    Attributes:
        slots: (n,), each item's slot among the N · S; None where item i is in slot i and no slot is free.
        items: (N · S,), the item in each slot, 0 in a free one; None likewise.
    """

    rows: int
    width: int
    slots: Tensor | None = None
    items: Tensor | None = None

    def spread(self, x: Tensor) -> Tensor:
        """
        (n, D) → (N, S, D); free slots hold what some item holds.
        """
        return (x if self.items is None else x.index_select(0, self.items)).view(self.rows, self.width, -1)

    def collect(self, x: Tensor) -> Tensor:
        """
        (N, S, D) → (n, D).
        """
        flat = x.reshape(self.rows * self.width, -1)
        return flat if self.slots is None else flat.index_select(0, self.slots)


@dataclass(frozen=True, slots=True)
class Block:
    """
    Texts that are attended in one call.

    Attributes:
        tokens: their tokens' places among the T tokens.
        texts: their places among the B texts.
        grid: the tokens in N rows of S.
        mask: (N, 1, S, S), 0 between tokens of one text and -∞ elsewhere; None where each row is one text.
        first_grid: the texts' first tokens in N rows of Q.
        first_mask: (N, 1, Q, S), the first tokens' lines of `mask`.
    """

    tokens: slice
    texts: slice
    grid: Grid
    mask: Tensor | None
    first_grid: Grid
    first_mask: Tensor | None


@dataclass(frozen=True, slots=True)
class Packing:
    """
    B texts, the longest first, as T tokens; the last of both may be nobody's, and only make B and T common numbers.

    Attributes:
        token_ids: (T,).
        positions: (T,), each token's place in its text, from 0.
        first_tokens: (B,), where each text begins.
        blocks: the texts by the call that attends them.
        order: (B,), the text that each packed place holds.
    """

    token_ids: Tensor
    positions: Tensor
    first_tokens: Tensor
    blocks: tuple[Block, ...]
    order: Tensor


def pack(batch: Sequence[Sequence[int]], mask_dtype: torch.dtype) -> Packing:
    """
    Pack the token ids of B ≥ 1 texts, for masks of the type that is computed in.
    """
    order = sorted(range(len(batch)), key=lambda index: -len(batch[index]))
    lengths = np.array([len(batch[index]) for index in order])
    tokens = int(lengths.sum())
    token_ids = np.fromiter(chain.from_iterable(batch[index] for index in order), np.int64, tokens)
    spare, spare_texts = _spare(tokens, _TOKEN_STEPS), _spare(len(batch), _TEXT_STEPS)
    return Packing(
        token_ids=torch.from_numpy(np.pad(token_ids, (0, spare))),
        positions=torch.from_numpy(np.pad(_positions(lengths), (0, spare))),
        first_tokens=torch.from_numpy(np.pad(lengths.cumsum() - lengths, (0, spare_texts))),
        blocks=tuple(_blocks(lengths, mask_dtype)),
        order=torch.tensor([*order, *range(len(batch), len(batch) + spare_texts)]),
    )


def _spare(count: int, steps: Sequence[tuple[int, int]]) -> int:
    """
    How many more make a count a multiple of its step.
    """
    return next((-count % step for least, step in steps if count > least), 0)


def _blocks(lengths: Integers, mask_dtype: torch.dtype) -> Iterator[Block]:
    """
    The blocks of texts of descending lengths.
    """
    texts, tokens = slice(0), slice(0)
    for _, members in groupby(lengths.tolist(), key=lambda length: max(length, ROW_TOKENS)):
        count = sum(1 for _ in members)
        texts = slice(texts.stop, texts.stop + count)
        own = lengths[texts]
        tokens = slice(tokens.stop, tokens.stop + int(own.sum()))
        if own[0] == own[-1]:
            yield Block(tokens, texts, Grid(count, int(own[0])), None, Grid(count, 1), None)
        else:
            yield _shared(tokens, texts, own, mask_dtype)


def _shared(tokens: slice, texts: slice, lengths: Integers, mask_dtype: torch.dtype) -> Block:
    """
    The block of short texts of many lengths.
    """
    width = min(ROW_TOKENS, int(lengths.sum()))
    row, offset, nth = np.array(_places(lengths.tolist(), width)).T
    rows, most = int(row.max()) + 1, int(nth.max()) + 1
    slots = (row * width + offset).repeat(lengths) + _positions(lengths)
    owners = np.full(rows * width, -1)
    owners[slots] = np.arange(len(lengths)).repeat(lengths)
    first_slots = row * most + nth
    first_owners = owners[::width].repeat(most)  # a free slot asks as the row's first text does
    first_owners[first_slots] = np.arange(len(lengths))
    keys, first_queries = owners.reshape(rows, 1, width), first_owners.reshape(rows, 1, most)
    return Block(
        tokens=tokens,
        texts=texts,
        grid=_grid(rows, width, slots),
        mask=_mask(keys, keys, mask_dtype),
        first_grid=_grid(rows, most, first_slots),
        first_mask=_mask(first_queries, keys, mask_dtype),
    )


def _places(lengths: Sequence[int], width: int) -> list[tuple[int, int, int]]:
    """
    Row, offset and number within the row of each text: first fit, the longest first (Johnson 1973).
    """
    filled: list[int] = []
    counts: list[int] = []
    places: list[tuple[int, int, int]] = []
    for length in lengths:
        row = next((row for row, used in enumerate(filled) if used + length <= width), len(filled))
        if row == len(filled):
            filled.append(0)
            counts.append(0)
        places.append((row, filled[row], counts[row]))
        filled[row] += length
        counts[row] += 1
    return places


def _mask(queries: Integers, keys: Integers, dtype: torch.dtype) -> Tensor:
    """
    Owners of (N, 1, Q) queries and (N, 1, S) keys → (N, 1, Q, S).
    """
    strangers = torch.from_numpy(queries[..., None] != keys[..., None, :])
    return torch.zeros(strangers.shape, dtype=dtype).masked_fill_(strangers, -math.inf)


def _grid(rows: int, width: int, slots: Integers) -> Grid:
    if rows == 1 and len(slots) == width:
        return Grid(rows, width)
    items = np.zeros(rows * width, dtype=np.int64)
    items[slots] = np.arange(len(slots))
    return Grid(rows, width, torch.from_numpy(slots), torch.from_numpy(items))


def _positions(lengths: Integers) -> Integers:
    """
    0, 1, … within each text, end to end.
    """
    return np.arange(lengths.sum()) - (lengths.cumsum() - lengths).repeat(lengths)
