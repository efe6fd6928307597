"""
How fast the classifier computes, beside what the processor's matrix products and transformers' eager forward can do.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from predictor.artifact import Artifact, NumericMode, open_artifact
from predictor.classifier import Classifier, load
from predictor.classifier.linear import Prepare, onednn, plain

# Deciles of the token counts of SST-2's dev sentences, special tokens included: lengths alone, no sentence.
LENGTH_DECILES = (4, 12, 16, 19, 21, 24, 27, 30, 34, 40, 55)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
TEXT_LENGTHS = (8, 25, 64, 128, 256, 512)
REPEATS = 5


@dataclass(frozen=True)
class Engine:
    """
    One model's figures; milliseconds are medians of interleaved runs.
    """

    texts_per_second: float
    times_eager: float
    share_of_gemm_rate: float
    gemm_gflops: float
    one_text_ms: float
    one_text_gemm_ms: float
    by_batch_size: dict[int, float]
    by_text_length: dict[int, float]


class EagerClassifier:
    """
    The baseline: transformers' eager forward, a batch padded to its longest text.
    """

    def __init__(self, artifact: Artifact) -> None:
        from transformers import AutoModelForSequenceClassification  # noqa: PLC0415  # seconds that --help must not cost
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()
        self._model = AutoModelForSequenceClassification.from_pretrained(
            artifact.path, dtype=torch.float32, attn_implementation="eager", local_files_only=True
        ).eval()

    def classify(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of a batch, float32 (B, L).
        """
        probabilities: NDArray[np.float32] = torch.softmax(self.logits(batch), dim=-1).numpy()
        return probabilities

    @torch.inference_mode()
    def logits(self, batch: Sequence[Sequence[int]]) -> torch.Tensor:
        """
        Logits of a batch, float32 (B, L).
        """
        longest = max(map(len, batch))
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in batch])
        mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in batch])
        logits: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).logits
        return logits


def measure(path: Path, numeric_mode: NumericMode) -> Engine:
    """
    Measure one model on one thread.
    """
    artifact = open_artifact(path, numeric_mode=numeric_mode)
    classifier = load(artifact, numeric_mode)
    batch = sst2_like(32)
    eager = EagerClassifier(artifact)
    products, flops = _gemm(artifact, batch, numeric_mode)
    packed_ms, eager_ms, gemm_ms = interleaved(
        lambda: classifier.classify(batch), lambda: eager.classify(batch), products
    )
    one = [text_of(25)]
    one_gemm, _ = _gemm(artifact, one, numeric_mode)
    one_ms, one_gemm_ms = interleaved(lambda: classifier.classify(one), one_gemm, repeats=40)
    return Engine(
        texts_per_second=len(batch) / packed_ms * 1e3,
        times_eager=eager_ms / packed_ms,
        share_of_gemm_rate=gemm_ms / packed_ms,
        gemm_gflops=flops / gemm_ms / 1e6,
        one_text_ms=one_ms,
        one_text_gemm_ms=one_gemm_ms,
        by_batch_size={size: _rate(classifier, sst2_like(size)) for size in BATCH_SIZES},
        by_text_length={length: _rate(classifier, [text_of(length)] * 4) for length in TEXT_LENGTHS},
    )


def sst2_like(count: int) -> list[list[int]]:
    """
    Token ids of texts as long as SST-2's.
    """
    chance = random.Random(count)  # noqa: S311  # lengths, no secret
    lengths = []
    for _ in range(count):
        decile = chance.randrange(10)
        lengths.append(chance.randint(LENGTH_DECILES[decile], LENGTH_DECILES[decile + 1]))
    return [text_of(length) for length in lengths]


def interleaved(*runs: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """
    Median milliseconds of each run, taken in turn, so that a noisy moment falls on all of them.
    """
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for own, run in zip(times, runs, strict=True):
            start = perf_counter()
            run()
            own.append((perf_counter() - start) * 1e3)
    return [median(own[1:]) for own in times]


def text_of(length: int) -> list[int]:
    """
    Token ids of a text.
    """
    return [1000 + (index * 37) % 20_000 for index in range(length)]


def _rate(classifier: Classifier, batch: Sequence[Sequence[int]]) -> float:
    [ms] = interleaved(lambda: classifier.classify(batch))
    return len(batch) / ms * 1e3


def _gemm(artifact: Artifact, batch: Sequence[Sequence[int]], numeric_mode: str) -> tuple[Callable[[], object], float]:
    """
    The forward's matrix products and nothing else, each by its fastest implementation; and their operations.

    Each has a weight of its own, as in the model: a few weights again and again would stay in the nearest cache.
    """
    config = artifact.config
    width, inner = (
        int(config.get(a) or config[b]) for a, b in (("dim", "hidden_size"), ("hidden_dim", "intermediate_size"))
    )
    depth = int(config.get("n_layers") or config["num_hidden_layers"])
    tokens, texts = sum(map(len, batch)), len(batch)
    all_tokens = [(tokens, width, 3 * width), (tokens, width, width), (tokens, width, inner), (tokens, inner, width)]
    last = [
        (tokens, width, 2 * width),
        (texts, width, width),
        (texts, width, width),
        (texts, width, inner),
        (texts, inner, width),
    ]
    shapes = all_tokens * (depth - 1) + last
    dtype = torch.float32 if numeric_mode == "fp32" else torch.bfloat16
    fastest = {shape: _fastest_product(*shape, dtype) for shape in dict.fromkeys(shapes)}
    products = [_product(*shape, dtype, fastest[shape]) for shape in shapes]

    def run() -> None:
        with torch.inference_mode():
            for product in products:
                product()

    return run, float(sum(2 * rows * k * n for rows, k, n in shapes))


@torch.inference_mode()
def _fastest_product(rows: int, k: int, n: int, dtype: torch.dtype) -> Prepare:
    candidates = []
    for prepare in (plain, onednn):
        try:
            product = _product(rows, k, n, dtype, prepare)
            product()
            candidates.append((prepare, product))
        except RuntimeError:
            continue
    times = interleaved(*(product for _, product in candidates))
    return candidates[times.index(min(times))][0]


@torch.inference_mode()
def _product(rows: int, k: int, n: int, dtype: torch.dtype, prepare: Prepare) -> Callable[[], object]:
    x, weight, bias = torch.randn(rows, k).to(dtype), torch.randn(n, k).to(dtype), torch.randn(n)
    linear = prepare(weight, bias, None)
    return lambda: linear(x)
