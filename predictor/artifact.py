"""
A model directory: what it holds, and the digest that names it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

NumericMode = Literal["fp32", "bf16"]

_REVISION_HEX_DIGITS = 16
_DEFAULT_MAX_TOKENS = 512
_DEFAULT_LABELS = 2
# Of 514 positions the first two are padding's: positions follow the padding index (fairseq's `Dictionary`).
_POSITIONS_FOLLOW_PADDING = {"roberta", "xlm-roberta", "camembert"}
_SEVERAL_OR_NO_LABELS = {"multi_label_classification", "regression"}


class ArtifactError(Exception):
    """
    The directory is not a model that this predictor can load; the message says what is missing.
    """


@dataclass(frozen=True, slots=True)
class Artifact:
    """
    A checked model directory.

    Attributes:
        path: the directory.
        labels: label names in the order of the logits' columns, L of them.
        max_tokens: tokens a text is cut to, special tokens included.
        revision: digest of everything that an answer depends on (DESIGN law 2).
        config: `config.json`.
    """

    path: Path
    labels: tuple[str, ...]
    max_tokens: int
    revision: str
    config: Mapping[str, Any]


def open_artifact(path: Path, *, numeric_mode: str) -> Artifact:
    """
    Check a directory of the Hugging Face layout and compute its revision.

    Args:
        path: directory with `config.json`, `model.safetensors`, `tokenizer.json` and, if any, `tokenizer_config.json`.
        numeric_mode: how the forward computes; part of the revision.

    Raises:
        ArtifactError: a file is missing or unreadable.
    """
    config = _read_json(path / "config.json")
    files = files_of(path)
    _, tokenizer, *weights = files
    for needed, found in (("model.safetensors", bool(weights)), ("tokenizer.json", tokenizer.is_file())):
        if not found:
            raise ArtifactError(
                f"{path} has no {needed}; MODEL_DIR must be a model directory of the Hugging Face layout"
            )
    labels = _labels(config)
    max_tokens = _max_tokens(config, path / "tokenizer_config.json")
    revision = revision_of(labels, max_tokens, numeric_mode, map(_file_digest, files))
    return Artifact(path, labels, max_tokens, revision, config)


def files_of(path: Path) -> tuple[Path, ...]:
    """
    The files whose digests are in a model directory's revision, the weights' last.
    """
    return (path / "config.json", path / "tokenizer.json", *sorted(path.glob("*.safetensors")))


def revision_of(labels: Sequence[str], max_tokens: int, numeric_mode: str, digests: Iterable[bytes]) -> str:
    """
    The digest that names a model.

    Args:
        digests: SHA-256 of each of `files_of`, in their order.
    """
    digest = hashlib.sha256(json.dumps([labels, max_tokens, numeric_mode]).encode())
    for each in digests:
        digest.update(each)
    return digest.hexdigest()[:_REVISION_HEX_DIGITS]


def _file_digest(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"{file} cannot be read ({error.strerror}); MODEL_DIR must be readable to the predictor's user"
    )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{file.parent} has no {file.name}; MODEL_DIR must be a model directory") from None
    except OSError as error:
        raise _unreadable(file, error) from None
    except ValueError:
        raise ArtifactError(f"{file} is not JSON") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{file} is not a JSON object")
    return content


def _labels(config: dict[str, Any]) -> tuple[str, ...]:
    # transformers' defaults, for what the file does not say
    count = config.get("num_labels") or _DEFAULT_LABELS
    names = config.get("id2label") or {str(column): f"LABEL_{column}" for column in range(_whole(count))}
    if not isinstance(names, dict) or set(names) != {str(column) for column in range(len(names))}:
        raise ArtifactError("config.json: id2label must name every column of the scores, from 0 on")
    if len(names) < _DEFAULT_LABELS or config.get("problem_type") in _SEVERAL_OR_NO_LABELS:
        raise ArtifactError("config.json: only models that choose one of two or more labels are served")
    return tuple(str(names[str(column)]) for column in range(len(names)))


def _whole(count: object) -> int:
    if not isinstance(count, int):
        raise ArtifactError("config.json: num_labels must be a whole number")
    return count


def _max_tokens(config: dict[str, Any], tokenizer_config: Path) -> int:
    limits = [config.get("max_position_embeddings", _DEFAULT_MAX_TOKENS)]
    if config.get("model_type") in _POSITIONS_FOLLOW_PADDING and isinstance(limits[0], int):
        limits[0] -= _whole(config.get("pad_token_id", 1)) + 1
    if tokenizer_config.is_file():
        limits.append(_read_json(tokenizer_config).get("model_max_length", _DEFAULT_MAX_TOKENS))
    numbers = [limit for limit in limits if isinstance(limit, int | float) and limit > 0]
    if len(numbers) < len(limits):
        raise ArtifactError("max_position_embeddings and model_max_length must be numbers of tokens")
    return int(min(numbers))
