"""
Judge a model and its numeric modes on labelled texts, each in a process of its own so that its memory is its own.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, cast, get_args

import numpy as np
import psutil
import torch
from tokenizers import Tokenizer

from benchmark.engine import EagerClassifier, interleaved, sst2_like
from predictor.artifact import Artifact, ArtifactError, NumericMode, open_artifact
from predictor.classifier import Classifier, load
from predictor.settings import EMBEDDED_MODEL
from serving import logs

BATCH = 32
NORMAL_95 = 1.96
REFERENCE = "eager"
COLUMNS = ("mode", "accuracy (95 %)", "flips", "max Δp", "mean Δp", "texts/s", "ms, 25 tokens", "MiB")


def main() -> None:
    """
    Judge every mode and print a table.
    """
    parser = argparse.ArgumentParser(prog="scripts/evaluate", description=__doc__)
    parser.add_argument("tsv", type=Path, help="tab-separated, with a header: sentence, label")
    parser.add_argument("--model-dir", type=Path, default=EMBEDDED_MODEL, help="the model (default: %(default)s)")
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logs.configure("console", "warning")
    if options.mode:
        print(json.dumps(judge(options.model_dir, options.tsv, options.mode)))
        return
    try:
        _rows(options.tsv, open_artifact(options.model_dir, numeric_mode=REFERENCE))
    except (ArtifactError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    size = sum(file.stat().st_size for file in options.model_dir.glob("*.safetensors")) / 2**20
    print(f"{options.model_dir.name}, {size:.0f} MiB on disk in every mode, one thread")
    print("".join(f"{column:>16}" for column in COLUMNS))
    reference: dict[str, Any] | None = None
    for mode in (REFERENCE, *get_args(NumericMode)):
        print(f"… {mode}", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, str(options.tsv), "--model-dir", str(options.model_dir), "--mode", mode]
        figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        reference = reference or figures
        print("".join(f"{cell:>16}" for cell in cells(mode, figures, reference)), flush=True)


def judge(model: Path, tsv: Path, mode: str) -> dict[str, Any]:
    """
    Probabilities of every text in one mode, and what they cost.
    """
    artifact = open_artifact(model, numeric_mode=mode)
    classifier = _load(artifact, mode)
    token_ids, labels = _read(artifact, tsv)
    one = [sst2_like(1)[0][:1] * 25]
    classifier.classify(token_ids[:BATCH])
    begin = perf_counter()
    rows = [classifier.classify(token_ids[at : at + BATCH]) for at in range(0, len(token_ids), BATCH)]
    seconds = perf_counter() - begin
    return {
        "probabilities": np.concatenate(rows).tolist(),
        "labels": labels,
        "texts_per_second": len(token_ids) / seconds,
        "one_text_ms": interleaved(lambda: classifier.classify(one), repeats=40)[0],
        "memory_mib": psutil.Process().memory_info().rss / 2**20,
    }


def cells(mode: str, figures: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """
    A mode's line of the table, beside the reference's probabilities.
    """
    probabilities, expected = (np.array(each["probabilities"]) for each in (figures, reference))
    answers = probabilities.argmax(axis=1)
    moved = np.abs(probabilities - expected).max(axis=1)
    low, high = interval(int((answers == np.array(figures["labels"])).sum()), len(answers))
    accuracy = (answers == np.array(figures["labels"])).mean()
    return [
        mode,
        f"{accuracy:.2%} ±{(high - low) / 2:.1%}",
        str((answers != expected.argmax(axis=1)).sum()),
        f"{moved.max():.1e}",
        f"{moved.mean():.1e}",
        f"{figures['texts_per_second']:.0f}",
        f"{figures['one_text_ms']:.2f}",
        f"{figures['memory_mib']:.0f}",
    ]


def interval(right: int, count: int) -> tuple[float, float]:
    """
    Where the true share lies, with 95 % confidence (Wilson 1927).
    """
    share, weight = right / count, NORMAL_95**2 / count
    centre = (share + weight / 2) / (1 + weight)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return centre - half, centre + half


def _load(artifact: Artifact, mode: str) -> Classifier:
    if mode == REFERENCE:
        torch.set_num_threads(1)
        return EagerClassifier(artifact)
    return load(artifact, cast("NumericMode", mode))


def _read(artifact: Artifact, tsv: Path) -> tuple[list[list[int]], list[int]]:
    texts, labels = _rows(tsv, artifact)
    tokenizer = Tokenizer.from_file(str(artifact.path / "tokenizer.json"))
    tokenizer.enable_truncation(artifact.max_tokens)
    tokenizer.no_padding()
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)], labels


def _rows(tsv: Path, artifact: Artifact) -> tuple[list[str], list[int]]:
    """
    Texts and the columns of their labels.

    Raises:
        ValueError: the file is no such table, or a label no column of the model's scores.
        OSError: it cannot be read.
    """
    with tsv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or not {"sentence", "label"} <= rows[0].keys():
        raise ValueError(f"{tsv} must be tab-separated, with a header that has sentence and label, and rows below it")
    known = {str(column): column for column in range(len(artifact.labels))}
    for number, row in enumerate(rows, start=2):
        if row["label"] not in known:
            raise ValueError(f"{tsv}:{number}: the label must be a number, one of {', '.join(known)}")
    return [row["sentence"] for row in rows], [known[row["label"]] for row in rows]


if __name__ == "__main__":
    main()
