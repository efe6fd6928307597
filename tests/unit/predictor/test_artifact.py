import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from predictor.artifact import Artifact, ArtifactError, open_artifact
from predictor.settings import EMBEDDED_MODEL


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """
    The embedded model with weights of seven bytes.
    """
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED_MODEL / name, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def _edit(name: str, **changes: object) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        content = json.loads((directory / name).read_bytes())
        (directory / name).write_text(json.dumps(content | changes))

    return apply


def _append(name: str) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        with (directory / name).open("ab") as stream:
            stream.write(b"\n")

    return apply


def _write(name: str, content: str) -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_text(content)


def _read(directory: Path, numeric_mode: str = "fp32") -> Artifact:
    return open_artifact(directory, numeric_mode=numeric_mode)


@pytest.mark.parametrize(
    "change",
    [
        _append("model.safetensors"),
        _append("tokenizer.json"),
        _edit("config.json", activation="relu"),
        _edit("config.json", id2label={"0": "POSITIVE", "1": "NEGATIVE"}),
        _edit("config.json", max_position_embeddings=256),
        _edit("tokenizer_config.json", model_max_length=128),
        _write("second.safetensors", "more"),
    ],
    ids=["weights", "tokenizer", "config", "labels", "positions", "max_length", "shard"],
)
def test_revision_changes(directory: Path, change: Callable[[Path], object]) -> None:
    """
    The revision changes with anything that an answer depends on.
    """
    before = _read(directory).revision
    change(directory)
    assert _read(directory).revision != before


def test_numeric_mode(directory: Path) -> None:
    """
    Each numeric mode is a revision of its own.
    """
    assert len({_read(directory, mode).revision for mode in ("fp32", "bf16", "int8")}) == 3


@pytest.mark.parametrize(
    "change",
    [
        _write("README.md", "words"),
        _write("pytorch_model.bin", "not loaded"),
        _edit("tokenizer_config.json", padding_side="left", model_max_length=4096),
        lambda directory: (directory / "tokenizer_config.json").unlink(),
    ],
    ids=["readme", "other weights", "no lower limit", "no tokenizer_config"],
)
def test_revision_stays(directory: Path, change: Callable[[Path], object]) -> None:
    """
    The revision stays with whatever no answer depends on.
    """
    before = _read(directory)
    change(directory)
    assert _read(directory) == before


def test_revision_is_of_content(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """
    The same files have the same revision wherever they lie.
    """
    copy = shutil.copytree(directory, tmp_path_factory.mktemp("elsewhere"), dirs_exist_ok=True)
    assert _read(copy).revision == _read(directory).revision
    assert re.fullmatch("[0-9a-f]{16}", _read(copy).revision)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing(directory: Path, name: str) -> None:
    """
    A missing file is named in one line, with the setting that leads there.
    """
    (directory / name).unlink()
    with pytest.raises(ArtifactError, match=rf"^[^\n]*no {re.escape(name)};[^\n]*MODEL_DIR[^\n]*$"):
        _read(directory)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_file_that_cannot_be_read(directory: Path, name: str) -> None:
    """
    A file that cannot be read is named in one line, with the reason and the setting that leads there.
    """
    (directory / name).unlink()
    (directory / name).mkdir()  # since root may read everything else
    with pytest.raises(
        ArtifactError, match=rf"^[^\n]*{re.escape(name)} cannot be read \(Is a directory\);[^\n]*MODEL_DIR"
    ):
        _read(directory)


@pytest.mark.parametrize(
    "change",
    [
        _write("config.json", "{"),
        _write("config.json", "[]"),
        _write("tokenizer_config.json", "{"),
        _edit("config.json", id2label=["A", "B"]),
        _edit("config.json", id2label={"first": "A"}),
        _edit("config.json", max_position_embeddings="many"),
        shutil.rmtree,
    ],
    ids=["no json", "no object", "no json too", "label list", "label names", "positions", "no directory"],
)
def test_unreadable(directory: Path, change: Callable[[Path], object]) -> None:
    """
    A directory that is no model is refused in one line.
    """
    (directory / "tokenizer_config.json").unlink()
    change(directory)
    with pytest.raises(ArtifactError, match=r"^[^\n]+$"):
        _read(directory)


def test_file(directory: Path) -> None:
    """
    A file in the directory's place is refused in one line.
    """
    with pytest.raises(ArtifactError, match=r"^[^\n]+$"):
        _read(directory / "config.json")


def test_labels(directory: Path) -> None:
    """
    Labels stand in the order of their numbers, past ten too; a config that names none has transformers' two.
    """
    _edit("config.json", id2label={str(number): f"L{number}" for number in reversed(range(12))})(directory)
    assert _read(directory).labels == tuple(f"L{number}" for number in range(12))
    _edit("config.json", id2label=None)(directory)
    assert _read(directory).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(("positions", "length", "expected"), [(512, 128, 128), (64, 512, 64), (512, 1e30, 512)])
def test_max_tokens(directory: Path, positions: int, length: float, expected: int) -> None:
    """
    A text is cut at the smaller of the model's positions and the tokenizer's length.
    """
    _edit("config.json", max_position_embeddings=positions)(directory)
    _edit("tokenizer_config.json", model_max_length=length)(directory)
    assert _read(directory).max_tokens == expected


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta"])
def test_positions_behind_the_padding(directory: Path, model_type: str) -> None:
    """
    Where positions begin behind the padding index, those before it hold no token.
    """
    _edit("config.json", model_type=model_type, max_position_embeddings=514, pad_token_id=1)(directory)
    _edit("tokenizer_config.json", model_max_length=1e30)(directory)
    assert _read(directory).max_tokens == 512


@pytest.mark.parametrize(
    "config",
    [
        {"id2label": {"0": "SCORE"}},
        {"num_labels": 1, "id2label": None},
        {"num_labels": "two", "id2label": None},
        {"problem_type": "regression"},
        {"problem_type": "multi_label_classification"},
    ],
)
def test_model_that_chooses_no_label(directory: Path, config: dict[str, object]) -> None:
    """
    A model whose scores are no probabilities of two or more labels is refused in one line.
    """
    _edit("config.json", **config)(directory)
    with pytest.raises(ArtifactError, match=r"^config.json: [^\n]+$"):
        _read(directory)
