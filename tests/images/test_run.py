import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import torch
import transformers

from predictor.settings import EMBEDDED_MODEL
from processes import metric, until
from test_predict import PREDICT

from .containers import Container

MODELS = "/mnt/models"


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A tiny model of a family that only transformers' own forward knows.
    """
    path = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = transformers.ElectraConfig(
        hidden_size=32,
        embedding_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        id2label={0: "calm", 1: "angry", 2: "happy"},
        label2id={"calm": 0, "angry": 1, "happy": 2},
    )
    transformers.ElectraForSequenceClassification(config).save_pretrained(path)
    shutil.copy(EMBEDDED_MODEL / "tokenizer.json", path)
    for each in (path, *path.iterdir()):  # for the container's user
        each.chmod(0o755)
    return path


@pytest.mark.parametrize("service", ["predictor", "transformer"])
def test_stops(images: dict[str, str], predictor_name: str, service: str) -> None:
    """
    A container that is told to stop answers what it is computing, whole, and is gone in its time, with exit 0.
    """
    texts = [f"text {index}" for index in range(500)]
    options = [predictor_name] if service == "transformer" else []
    with Container(service, images[service], *options) as container, ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(httpx.post, container.url + PREDICT, json={"text": texts}, timeout=60)
        until(lambda: metric(container, "request_preprocess_seconds_count") == 1)
        assert container.stop() == 0
        assert len(in_flight.result().json()["predictions"]) == len(texts)
        assert "Traceback" not in container.log.read_text()


def test_mounted_model(images: dict[str, str], other_model: Path) -> None:
    """
    A model that is mounted where KServe mounts it is served instead of the image's, of whatever family it is.
    """
    mount = f"--volume={other_model}:{MODELS}:ro"
    with Container("predictor", images["predictor"], mount) as container:
        [pairs] = httpx.post(container.url + PREDICT, json={"text": ["fine"]}).json()["predictions"]
    assert {pair["label"] for pair in pairs} == {"calm", "angry", "happy"}


def test_empty_mount(images: dict[str, str], tmp_path: Path) -> None:
    """
    A mount that holds no model ends the start with one line that says so, and no other model is served in its place.
    """
    tmp_path.chmod(0o755)
    with pytest.raises(RuntimeError, match=f"error: {MODELS} has no config.json"):
        Container("predictor", images["predictor"], f"--volume={tmp_path}:{MODELS}:ro").__enter__()
