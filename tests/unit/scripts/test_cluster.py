import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deployment import laptop, platform
from deployment.laptop import KIND, MINIKUBE, Tool
from image.builder import Docker, Podman
from local.supervisor import Failure

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def answers() -> dict[str, str]:
    """
    What commands print, by a word of theirs; to be changed by a test.
    """
    return {"configmap": '{"urlScheme": "http"}', "inspect": "sha256:1d2e", "clusters": "another\n"}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> list[list[str]]:
    """
    Every command that would be run; each succeeds.
    """
    run: list[list[str]] = []

    def record(command: list[Any], **_: Any) -> subprocess.CompletedProcess[str]:
        run.append([Path(command[0]).name, *map(str, command[1:])])
        printed = [answer for word, answer in answers.items() if word in command]
        return subprocess.CompletedProcess(command, 0, "".join(printed), "")

    monkeypatch.setattr(subprocess, "run", record)
    return run


def test_versions_are_pinned() -> None:
    """
    Every file is of one release, and KServe's is the one whose SDK is installed.
    """
    assert all(re.search(r"/releases/download/(knative-)?v\d+\.\d+\.\d+$", part.url) for part in platform.PLATFORM)
    [kserve] = [part for part in platform.PLATFORM if part.name == "KServe"]
    [pin] = [each for each in _dependencies() if each.startswith("kserve>=")]
    minor = pin.removeprefix("kserve>=").partition(",")[0]
    assert f"/v{minor}." in kserve.url


def _dependencies() -> list[str]:
    dependencies: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dependencies


@pytest.mark.parametrize("tool", [KIND, MINIKUBE], ids=lambda tool: tool.name)
def test_up(commands: list[list[str]], tool: Tool) -> None:
    """
    From nothing to an answer: the cluster, what the manifests need, the images under the overlays' names, the service.
    """
    laptop.up(tool, Docker())
    lines = [" ".join(command) for command in commands]
    steps = [
        f"{tool.name} .*(create|start)",
        "kubectl --context .* apply .*/cert-manager.yaml",
        "apply .*/serving-crds.yaml",
        "apply .*/serving-core.yaml",
        "apply .*/kourier.yaml",
        "apply .*/kserve-crds.yaml",
        "apply .*/kserve.yaml",
        "build --builder docker",
        r"docker tag sentiment-predictor:(\S+) dev.local/sentiment-predictor:\1$",
        r"docker tag sentiment-predictor:(\S+) dev.local/sentiment-predictor:\1-1d2e$",
        r"docker save .* dev.local/sentiment-predictor:(\S+) dev.local/sentiment-predictor:\1-1d2e$",
        f"{tool.name} .*load",
        r"docker tag sentiment-transformer:(\S+) dev.local/sentiment-transformer:\1$",
        f"{tool.name} .*load",
        f"deploy {tool.name} --context {tool.context} --image=dev.local/.*predictor:.*-1d2e .*transformer:.*-1d2e",
    ]
    found = iter(lines)
    assert [step for step in steps if not any(re.search(step, line) for line in found)] == []


def test_kind_that_stands_still(commands: list[list[str]], answers: dict[str, str]) -> None:
    """
    A cluster of kind that is there is not made again, and its node is started: a reboot has stopped it.
    """
    answers["clusters"] = "another\nsentiment\n"
    KIND.start(Podman())
    assert [" ".join(command) for command in commands] == ["kind get clusters", "podman start sentiment-control-plane"]


def test_minikube_that_stands_still(commands: list[list[str]]) -> None:
    """
    Where it is minikube, it is told to start, running or not: it leaves alone what runs.
    """
    MINIKUBE.start(Docker())
    [command] = commands
    assert command[:4] == ["minikube", "start", "--profile", "sentiment"]


def test_settings(commands: list[list[str]]) -> None:
    """
    A setting inside JSON joins what is there; a cluster by Kourier gets no addresses of Istio.
    """
    for part in platform.PLATFORM:
        platform.install(part, "kind-sentiment")
    patches = {command[7]: json.loads(command[-1])["data"] for command in commands if "patch" in command}
    assert json.loads(patches["inferenceservice-config"]["ingress"]) == {
        "urlScheme": "http",
        "disableIstioVirtualHost": True,
    }
    assert "kourier" in patches["config-network"]["ingress-class"]


def test_podman(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is said to kind when it is to work with podman.
    """
    seen: list[str | None] = []

    def record(*_: Any, env: dict[str, str], **__: Any) -> subprocess.CompletedProcess[str]:
        seen.append(env.get("KIND_EXPERIMENTAL_PROVIDER"))
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(subprocess, "run", record)
    KIND.run(KIND.create, Podman())
    KIND.run(KIND.create, Docker())
    assert seen == ["podman", None]


def test_no_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Without kind and minikube one line says so, and where they are.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="neither kind nor minikube is on the PATH\n  next: install one"):
        laptop.find(None)
    with pytest.raises(Failure, match="minikube is not on the PATH"):
        laptop.find("minikube")
