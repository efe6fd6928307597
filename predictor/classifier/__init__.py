"""
Token ids → probabilities: the only importer of torch.

Models of the known families run through the packed forward; every other sequence-classification checkpoint through
transformers' own, which is imported for them alone.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from predictor.artifact import Artifact, ArtifactError, NumericMode
from predictor.classifier import weights
from predictor.classifier.allocator import keep_freed_memory
from predictor.classifier.packed import PackedClassifier

_log = structlog.get_logger("classifier")


class Classifier(Protocol):
    """
    A loaded model.
    """

    def classify(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """
        Probabilities of B ≥ 1 tokenised texts, float32 (B, L); several threads may call at once.
        """


def load(
    artifact: Artifact, numeric_mode: NumericMode, contents: Mapping[str, NDArray[np.uint8]] | None = None
) -> Classifier:
    """
    The model of a directory, by the forward that suits it.

    One torch thread a forward: the threads of one forward would wait for each other in a spin, beside busy neighbours.

    Args:
        contents: the directory's files by name, where they are in memory and not on this machine.

    Raises:
        ArtifactError: the files do not fit together, or what was asked for is only for models of the known families.
    """
    torch.set_num_threads(1)
    try:
        classifier = _load(artifact, numeric_mode, contents)
    except (KeyError, ValueError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"{artifact.path} cannot be loaded: {type(error).__name__}: {reason}") from error
    keep_freed_memory()
    return classifier


def _load(
    artifact: Artifact, numeric_mode: NumericMode, contents: Mapping[str, NDArray[np.uint8]] | None
) -> Classifier:
    if weights.is_known(artifact.config):
        if numeric_mode == "bf16" and not _has_bf16():
            _log.warning("slow numeric mode", numeric_mode="bf16", reason="this processor has no bfloat16 units")
        files = [content for name, content in (contents or {}).items() if name.endswith(".safetensors")]
        tensors = {name: tensor for file in files for name, tensor in weights.mapped(file).items()}
        return PackedClassifier(artifact, numeric_mode=numeric_mode, tensors=tensors)
    if contents is not None:
        raise ArtifactError("PREDICTOR_REPLICAS is for DistilBERT, BERT and RoBERTa; this model runs without it")
    if numeric_mode != "fp32":
        raise ArtifactError(f"NUMERIC_MODE={numeric_mode} is for DistilBERT, BERT and RoBERTa; this model runs in fp32")
    from predictor.classifier.padded import TransformersClassifier  # noqa: PLC0415  # imports transformers: seconds

    return TransformersClassifier(artifact)


def _has_bf16() -> bool:
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())  # noqa: SLF001
