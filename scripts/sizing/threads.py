"""
What compute threads lose to each other: they share one interpreter, whose lock they need between two operators.
"""

from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, median
from time import perf_counter, thread_time
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
    The share of their time that threads compute in, while as many as there are cores do; the rest they wait.

    Processor time tells it, and not how many batches they finish: what a batch takes longer because the other cores use
    the same memory is in what a batch costs.
    """
    mode = cast("NumericMode", numeric_mode)
    classifier = load(open_artifact(EMBEDDED_MODEL, numeric_mode=mode), mode)
    with ThreadPoolExecutor(granted_cores()) as threads:
        _, *rounds = [_computing(classifier, threads) for _ in range(1 + _ROUNDS)]  # the first has what is lazy
    return min(1.0, median(rounds))


def _computing(classifier: Classifier, threads: ThreadPoolExecutor) -> float:
    return fmean(threads.map(lambda _: _share(classifier), range(granted_cores())))


def _share(classifier: Classifier) -> float:
    batch = [list(range(1000, 1000 + _TOKENS))] * _TEXTS
    began, began_computing = perf_counter(), thread_time()
    while (seconds := perf_counter() - began) < _SECONDS:
        classifier.classify(batch)
    return (thread_time() - began_computing) / seconds
