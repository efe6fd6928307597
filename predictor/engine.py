"""
What computes the batches: threads of this process, or replicas on Ray.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.artifact import Artifact
from predictor.batcher import Classify
from predictor.metrics import COMPUTE_SECONDS, COMPUTE_THREADS
from predictor.replicas.plan import Plan
from predictor.settings import PredictorSettings


class Engine(NamedTuple):
    """
    What the batcher and readiness need to know of it.

    Attributes:
        classify: probabilities of a batch.
        threads: batches that it takes at once.
        available: whether it takes any now.
    """

    classify: Classify
    threads: int
    available: Callable[[], bool]


@contextlib.contextmanager
def running(settings: PredictorSettings, artifact: Artifact) -> Iterator[Engine]:
    """
    The engine that the settings ask for, loaded; each brings imports that the other does not need.

    Raises:
        ArtifactError: it cannot be of this model.
    """
    if settings.predictor_replicas:
        COMPUTE_THREADS.set(settings.predictor_replicas.count)
        with _replicas(settings.predictor_replicas, settings, artifact) as engine:
            yield engine
        return
    from predictor import classifier  # noqa: PLC0415

    COMPUTE_THREADS.set(settings.compute_threads)
    classify = counted(classifier.load(artifact, settings.numeric_mode).classify)
    yield Engine(classify, settings.compute_threads, lambda: True)


def counted(classify: Classify) -> Classify:
    """
    The same, whose time counts as that of a compute thread.
    """

    def timed(batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        began = monotonic()
        try:
            return classify(batch)
        finally:
            COMPUTE_SECONDS.inc(monotonic() - began)

    return timed


@contextlib.contextmanager
def _replicas(plan: Plan, settings: PredictorSettings, artifact: Artifact) -> Iterator[Engine]:
    from predictor.replicas.link import IN_FLIGHT, Task  # noqa: PLC0415
    from predictor.replicas.pool import Replicas  # noqa: PLC0415

    replicas = Replicas(Task(plan, artifact, settings.numeric_mode, settings.log_format, settings.log_level))
    try:
        replicas.start()
        yield Engine(replicas.classify, plan.count * IN_FLIGHT, replicas.available)
    finally:
        replicas.close()
