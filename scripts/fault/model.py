"""
Another model: ours with its last layer negated, so that each text's right scores are those of the other label.
"""

import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

_LAST_LAYER = ("classifier.weight", "classifier.bias")


def write_other(model: Path, folder: Path) -> None:
    """
    Write the other model into a folder.
    """
    shutil.copytree(model, folder)
    file = folder / "model.safetensors"
    weights = load_file(file)
    negated = {name: -weights[name] for name in _LAST_LAYER}
    save_file(weights | negated, file, metadata={"format": "pt"})
