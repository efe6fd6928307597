"""
One replica of the engine, in a process of Ray's.

The weights' files come through Ray's object store, once a node, and are mapped. What the engine prepares of them is
each replica's own, as it is each process's: see `weights.load`.
"""

import hashlib
import os
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from predictor.artifact import Artifact, ArtifactError, NumericMode, files_of, revision_of

if TYPE_CHECKING:
    from predictor.classifier import Classifier

Contents = Mapping[str, NDArray[np.uint8]]

# The first time pays for what is lazy.
_WARM_UPS = 2
_WARM_UP_BATCH = [[0] * 16] * 20


def contents_of(artifact: Artifact) -> Contents:
    """
    All files of a model directory that a revision is the digest of, by name.
    """
    return {file.name: np.fromfile(file, np.uint8) for file in files_of(artifact.path)}


class Replica:
    """
    An engine on one core, for batches as plain arrays.
    """

    _classifier: "Classifier"

    def load(self, artifact: Artifact, numeric_mode: NumericMode, contents: Contents) -> int:
        """
        Make ready for batches.

        Returns:
            the process's id.

        Raises:
            ArtifactError: these are other files than those of the revision, or no model that replicas can be of.
        """
        digests = (hashlib.sha256(content.data).digest() for content in contents.values())
        if revision_of(artifact.labels, artifact.max_tokens, numeric_mode, digests) != artifact.revision:
            raise ArtifactError(f"{artifact.path} is no longer revision {artifact.revision}; restart the predictor")
        from predictor import classifier  # noqa: PLC0415  # torch: seconds, which only a replica needs

        self._classifier = classifier.load(artifact, numeric_mode, contents)
        for _ in range(_WARM_UPS):
            self._classifier.classify(_WARM_UP_BATCH)
        return os.getpid()

    def classify(self, token_ids: NDArray[np.int32], ends: NDArray[np.int32]) -> NDArray[np.float32]:
        """
        Probabilities of B ≥ 1 texts, float32 (B, L).

        Args:
            token_ids: (T,), the texts' end to end.
            ends: (B,), where each text ends among them.
        """
        flat = token_ids.tolist()
        return self._classifier.classify([flat[begin:end] for begin, end in pairwise([0, *ends.tolist()])])
