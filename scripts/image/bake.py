"""
The model that the predictor's image holds: a folder of models/, or the Hugging Face hub's at one commit.

Dockerfile.predictor runs it. Whatever its source, weights of another digest than the one asked for are refused.
"""

import hashlib
import re
import shutil
import sys
import tempfile
from pathlib import Path

FILES = ("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
WEIGHTS = "model.safetensors"


def main() -> None:
    """
    Copy a model's files to a folder; an error is one line.
    """
    model, sha256, target = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        source = _download(model, folder) if "/" in model else Path("models", model)
        _check(source / WEIGHTS, sha256)
        Path(target).mkdir(parents=True)
        for name in FILES:
            if (source / name).exists():
                shutil.copyfile(source / name, Path(target, name))


def _download(model: str, folder: str) -> Path:
    """
    Fetch a model of the hub.

    Args:
        model: `owner/name@commit`. A branch or a tag can move, so it is refused.
        folder: where to.
    """
    name, _, commit = model.partition("@")
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        sys.exit(f"error: MODEL={model} needs a commit: {name}@ and its 40 hexadecimal digits")
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # a second that the embedded model does without

    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(FILES), local_dir=folder))
    except OSError as error:
        sys.exit(f"error: the hub does not give {model}: {str(error).splitlines()[0]}")


def _check(weights: Path, sha256: str) -> None:
    if not weights.is_file():
        sys.exit(f"error: the model has no {weights.name}")
    with weights.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != sha256.lower():
        sys.exit(f"error: {weights.name} has the SHA-256 {actual}; MODEL_SHA256 says {sha256 or 'nothing'}")


if __name__ == "__main__":
    main()
