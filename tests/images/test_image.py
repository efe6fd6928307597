import json
from typing import Any

import pytest

from tests.manifests.test_pods import VERSION

from .containers import BASE_IMAGE, podman

SERVICES = ["predictor", "transformer"]
# Over the base image, whose size is not ours: megabytes, with the embedded model.
MOST_MEGABYTES = {"predictor": 980, "transformer": 280}
TOOLS = ["gcc", "cc", "make", "ld", "git", "curl", "wget"]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """
    Each service in turn.
    """
    service: str = request.param
    return service


def inspect(tag: str) -> dict[str, Any]:
    """
    What podman knows of an image.
    """
    [image] = json.loads(podman("image", "inspect", tag))
    return dict(image)


def python(tag: str, code: str) -> Any:
    """
    What a line of Python says in an image, as JSON.
    """
    return json.loads(podman("run", "--rm", "--network=none", "--entrypoint=python", tag, "-c", code))


def test_labels(images: dict[str, str], service: str) -> None:
    """
    An image says its name, its version and the commit that it was built from.
    """
    labels = inspect(images[service])["Labels"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == f"sentiment-{service}"
    assert labels[f"{prefix}.version"] == VERSION
    assert f"{prefix}.revision" in labels
    assert f"{prefix}.source" not in labels


def test_size(images: dict[str, str], service: str) -> None:
    """
    An image stays small.
    """
    size = inspect(images[service])["Size"] - inspect(BASE_IMAGE)["Size"]
    assert size / 1e6 < MOST_MEGABYTES[service]


def test_no_tools(images: dict[str, str], service: str) -> None:
    """
    No image holds what builds or fetches things.
    """
    code = f"import json, shutil; print(json.dumps([name for name in {TOOLS} if shutil.which(name)]))"
    assert python(images[service], code) == []


def test_no_torch_in_the_transformer(images: dict[str, str]) -> None:
    """
    The transformer's image holds nothing of the predictor.
    """
    names = ["torch", "transformers", "tokenizers", "safetensors", "predictor"]
    code = f"import json; from importlib.util import find_spec as f; print(json.dumps([n for n in {names} if f(n)]))"
    assert python(images["transformer"], code) == []


def test_traces_can_be_sent(images: dict[str, str], service: str) -> None:
    """
    Both images have what sends traces, over HTTP and gRPC.
    """
    modules = [f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter" for protocol in ("http", "grpc")]
    code = f"import importlib, json; print(json.dumps([importlib.import_module(m).__name__ for m in {modules}]))"
    assert python(images[service], code) == modules


def test_bytecode(images: dict[str, str], service: str) -> None:
    """
    Whatever our modules import comes with its bytecode, for a read-only root keeps none; only Ray may be missing.
    """
    code = f"""
import importlib, json, os, pkgutil, sys
from serving import lean_kserve
lean_kserve.import_kserve()
for package in ("serving", "{service}"):
    for module in pkgutil.walk_packages([package], f"{{package}}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            if missing.name != "ray":  # an extra, without which these modules are not asked for
                raise
cached = [getattr(module, "__cached__", None) for module in list(sys.modules.values())]
print(json.dumps([path for path in cached if isinstance(path, str) and not os.path.exists(path)]))
"""
    assert python(images[service], code) == []
