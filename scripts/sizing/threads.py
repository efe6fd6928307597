"""
What compute threads lose to each other: they share one interpreter, whose lock they need between two operators.
"""

from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter
from typing import cast

from predictor.artifact import NumericMode, open_artifact
from predictor.classifier import Classifier, load
from predictor.cores import granted_cores
from predictor.settings import EMBEDDED_MODEL

# A batch as they are while the service is neither idle nor full.
_TEXTS, _TOKENS = 4, 25
_SECONDS = 0.7
_ROUNDS = 4


def together(numeric_mode: str) -> float:
    """
    The share of its pace that a thread keeps while as many as there are cores compute; alone and together in turn.
    """
    mode = cast("NumericMode", numeric_mode)
    classifier = load(open_artifact(EMBEDDED_MODEL, numeric_mode=mode), mode)
    with ThreadPoolExecutor(granted_cores()) as threads:
        _paces(classifier, threads, granted_cores())  # what is lazy
        rounds = [
            (_paces(classifier, threads, granted_cores()), _paces(classifier, threads, 1)) for _ in range(_ROUNDS)
        ]
    return min(1.0, median(all_of_them / alone for all_of_them, alone in rounds))


def _paces(classifier: Classifier, threads: ThreadPoolExecutor, count: int) -> float:
    """
    Batches a second of a thread, while so many compute.
    """
    return sum(threads.map(lambda _: _pace(classifier), range(count))) / count


def _pace(classifier: Classifier) -> float:
    batch = [list(range(1000, 1000 + _TOKENS))] * _TEXTS
    began, batches = perf_counter(), 0
    while (seconds := perf_counter() - began) < _SECONDS:
        classifier.classify(batch)
        batches += 1
    return batches / seconds
