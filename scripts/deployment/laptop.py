"""
kind and minikube, by the few verbs that a cluster on this machine needs.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deployment.platform import PLATFORM, install
from deployment.refusal import failure
from image.builder import Builder
from image.source import version

NAME = "sentiment"
NODE = f"{NAME}-control-plane"
"""kind's one node, a container, which a reboot stops; kind itself has no word that starts it again."""

SCRIPTS = Path(__file__).resolve().parents[1]
IMAGES = ("sentiment-predictor", "sentiment-transformer")
REGISTRY = "dev.local"
"""Of which Knative resolves no tag; manifests/components/local has it too."""


@dataclass(frozen=True)
class Tool:
    """
    One of the two.

    Attributes:
        context: of the kubeconfig, which it writes.
        create: makes the cluster; where there is no listing, it also starts one that stands still, and leaves one alone
            that runs.
        listing: prints the names of the clusters that there are, running or not.
        load: reads images from an archive, whose name follows.
    """

    name: str
    context: str
    create: tuple[str, ...]
    load: tuple[str, ...]
    delete: tuple[str, ...]
    listing: tuple[str, ...] = ()

    def start(self, builder: Builder) -> None:
        """
        Have the cluster run, whether it is not there, stands still, or runs already.

        Raises:
            Failure: it does not.
        """
        if self.listing and NAME in _said([self.name, *self.listing], builder).split():
            _said([builder.name, "start", NODE], builder)
        else:
            self.run(self.create, builder)

    def run(self, words: tuple[str, ...], builder: Builder) -> None:
        """
        Run one of its commands.

        Raises:
            Failure: it did not succeed; it has said why.
        """
        if subprocess.run([self.name, *words], env=_environment(builder), check=False).returncode:
            raise failure(f"{self.name} {' '.join(words)} failed", "it says why above; then scripts/cluster up again")


KIND = Tool(
    "kind",
    f"kind-{NAME}",
    listing=("get", "clusters"),
    create=("create", "cluster", "--name", NAME, "--wait", "5m"),
    load=("load", "image-archive", "--name", NAME),
    delete=("delete", "cluster", "--name", NAME),
)
MINIKUBE = Tool(
    "minikube",
    NAME,
    # Calico holds pods to the network policies; minikube's own network does not
    create=("start", "--profile", NAME, "--cpus", "4", "--memory", "8g", "--cni", "calico"),
    load=("--profile", NAME, "image", "load"),
    delete=("delete", "--profile", NAME),
)
TOOLS = {tool.name: tool for tool in (KIND, MINIKUBE)}


def find(name: str | None) -> Tool:
    """
    The tool of that name, or the first that is installed.

    Raises:
        Failure: none is.
    """
    for tool in [TOOLS[name]] if name else TOOLS.values():
        if shutil.which(tool.name):
            return tool
    raise failure(
        f"{name} is not on the PATH" if name else "neither kind nor minikube is on the PATH",
        "install one: https://kind.sigs.k8s.io or https://minikube.sigs.k8s.io",
    )


def up(tool: Tool, builder: Builder) -> None:
    """
    From nothing, or from where it stopped, to an answer.

    Raises:
        Failure: a step failed.
    """
    tool.start(builder)
    for part in PLATFORM:
        print(f"installing {part.name} from {part.url}", flush=True)
        install(part, tool.context)
    _script("build", "--builder", builder.name)
    images = [_load(tool, builder, image) for image in IMAGES]
    _script("deploy", tool.name, "--context", tool.context, *(f"--image={image}" for image in images))


def _load(tool: Tool, builder: Builder, image: str) -> str:
    """
    Bring an image into the cluster, under the name that the overlays use, and under one that no other build has.

    Returns:
        that one: with it, changed code is a changed pod, though the version is the same.
    """
    built = f"{image}:{version()}"
    name = f"{REGISTRY}/{built}"
    exact = f"{name}-{builder.digest(built).removeprefix('sha256:')[:12]}"
    print(f"loading {exact}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        archive = f"{folder}/image.tar"
        for words in (["tag", built, name], ["tag", built, exact], ["save", "--output", archive, name, exact]):
            _said([builder.name, *words], builder)
        tool.run((*tool.load, archive), builder)
    return exact


def _script(name: str, *words: str) -> None:
    if subprocess.run([SCRIPTS / name, *words], check=False).returncode:
        raise failure(f"scripts/{name} failed", "it says why above; then scripts/cluster up goes on from here")


def _said(command: list[str], builder: Builder) -> str:
    """
    What a command prints.

    Raises:
        Failure: it did not succeed.
    """
    result = subprocess.run(command, env=_environment(builder), capture_output=True, text=True, check=False)
    if result.returncode:
        raise failure(f"{' '.join(command)}: {result.stderr.strip()}", "scripts/cluster up, once that is mended")
    return result.stdout


def _environment(builder: Builder) -> dict[str, str]:
    """
    What the tool is told by: kind takes docker unless this names podman.
    """
    return {**os.environ, **({"KIND_EXPERIMENTAL_PROVIDER": "podman"} if builder.name == "podman" else {})}
