"""
Laws of the packed batch.
"""

import torch
from hypothesis import given
from hypothesis import strategies as st

from predictor.classifier.packing import Block, Packing, pack

TEXT = st.lists(st.integers(0, 90), min_size=1, max_size=100)
BATCHES = st.lists(TEXT, min_size=1, max_size=12)


def placed(packing: Packing, block: Block) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The text and the position in it of each token of a block, (N, S) each.
    """
    last = packing.blocks[-1]
    bounds = torch.cat([packing.first_tokens[: last.texts.stop], torch.tensor([last.tokens.stop])])
    text = torch.repeat_interleave(bounds.diff())
    return tuple(block.grid.spread(each[block.tokens, None]).squeeze(2) for each in (text, packing.positions))


@given(BATCHES)
def test_packing_keeps_every_token_once(batch: list[list[int]]) -> None:
    """
    A packing holds each text's tokens once, in order, with their positions, at the place that `order` names.
    """
    packing = pack(batch, torch.float32)
    texts = [batch[place] for place in packing.order[: len(batch)]]
    tokens = sum(map(len, texts))
    assert packing.token_ids[:tokens].tolist() == [token for text in texts for token in text]
    assert packing.positions[:tokens].tolist() == [place for text in texts for place in range(len(text))]
    assert packing.token_ids[packing.first_tokens[: len(batch)]].tolist() == [text[0] for text in texts]
    assert sorted(packing.order.tolist()) == list(range(len(packing.first_tokens)))


@given(BATCHES)
def test_batches_come_in_few_sizes(batch: list[list[int]]) -> None:
    """
    Large batches have a multiple of 16 rows, small ones of 4, and of 8 texts; fewer rows than a step are added.
    """
    packing = pack(batch, torch.float32)
    tokens, rows = sum(map(len, batch)), len(packing.token_ids)
    step = 16 if tokens > 64 else 4 if tokens > 16 else 1
    assert rows % step == 0
    assert tokens <= rows < tokens + step
    texts, text_step = len(packing.first_tokens), 8 if len(batch) > 8 else 1
    assert texts % text_step == 0
    assert len(batch) <= texts < len(batch) + text_step


@given(BATCHES)
def test_blocks_hold_every_text_once(batch: list[list[int]]) -> None:
    """
    The blocks follow each other without gap or overlap, and what a grid spreads it collects again.
    """
    packing = pack(batch, torch.float32)
    assert [0, *(block.tokens.stop for block in packing.blocks)] == [
        *(block.tokens.start for block in packing.blocks),
        sum(map(len, batch)),
    ]
    for block in packing.blocks:
        tokens = torch.arange(block.tokens.stop - block.tokens.start)[:, None]
        assert torch.equal(block.grid.collect(block.grid.spread(tokens)), tokens)
        texts = torch.arange(block.texts.stop - block.texts.start)[:, None]
        assert torch.equal(block.first_grid.collect(block.first_grid.spread(texts)), texts)


@given(BATCHES)
def test_token_sees_its_own_text_and_nothing_else(batch: list[list[int]]) -> None:
    """
    Under a block's masks a token, and a text's first token, sees each token of its own text once and no other.
    """
    packing = pack(batch, torch.float32)
    lengths = [len(batch[place]) for place in packing.order[: len(batch)]]
    for block in packing.blocks:
        text, position = placed(packing, block)
        texts = torch.arange(block.texts.start, block.texts.stop)[:, None]
        first_text = block.first_grid.spread(texts).squeeze(2)
        for mask, grid, asking in (
            (block.mask, block.grid, text),
            (block.first_mask, block.first_grid, first_text),
        ):
            free = torch.zeros(len(text), 1, asking.shape[1], text.shape[1])
            seen = ((free if mask is None else mask) == 0).squeeze(1)
            slots = torch.arange(asking.numel()) if grid.slots is None else grid.slots
            for row, slot in zip(*(place.tolist() for place in torch.unravel_index(slots, asking.shape)), strict=True):
                own = seen[row, slot]
                assert text[row, own].unique().tolist() == [asking[row, slot]]
                assert sorted(position[row, own].tolist()) == list(range(lengths[asking[row, slot]]))
