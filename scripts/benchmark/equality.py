"""
How far the packed forward's answers are from those of transformers' eager forward.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from benchmark.engine import EagerClassifier
from predictor.artifact import NumericMode, open_artifact
from predictor.classifier.packed import PackedClassifier

LONGEST = 512
LARGEST_BATCH = 32


class Difference(NamedTuple):
    """
    The largest over all texts and labels.
    """

    logit: float
    probability: float


def measure(model: Path, numeric_mode: NumericMode, texts: int, progress: Callable[[str], None]) -> Difference:
    """
    Compare random texts, short ones as likely as long ones on a logarithmic scale, in batches of random sizes.
    """
    torch.set_num_threads(1)
    artifact = open_artifact(model, numeric_mode=numeric_mode)
    packed, eager = PackedClassifier(artifact, numeric_mode=numeric_mode), EagerClassifier(artifact)
    largest, done = Difference(0, 0), 0
    for batch in _batches(texts, int(artifact.config["vocab_size"])):
        actual, expected = packed.logits(batch), torch.cat([eager.logits([text]) for text in batch])
        moved = (actual.softmax(1) - expected.softmax(1)).abs().max()
        logit, probability = float((actual - expected).abs().max()), float(moved)
        largest = Difference(max(largest.logit, logit), max(largest.probability, probability))
        done += len(batch)
        progress(f"{done} of {texts}: {largest.logit:.1e} in a logit, {largest.probability:.1e} in a probability")
    return largest


def _batches(texts: int, vocabulary: int) -> Iterator[list[list[int]]]:
    chance = random.Random(0)  # noqa: S311  # texts, no secret
    while texts:
        size = min(texts, chance.randint(1, LARGEST_BATCH))
        lengths = [round(LONGEST ** chance.random()) for _ in range(size)]
        yield [[chance.randrange(vocabulary) for _ in range(length)] for length in lengths]
        texts -= size
