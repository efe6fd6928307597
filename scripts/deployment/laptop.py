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
SCRIPTS = Path(__file__).resolve().parents[1]
IMAGES = ("sentiment-predictor", "sentiment-transformer")


@dataclass(frozen=True)
class Tool:
    """
    One of the two.

    Attributes:
        context: of the kubeconfig, which it writes.
        running: prints the cluster's name if it runs.
        load: reads images from an archive, whose name follows.
    """

    name: str
    context: str
    running: tuple[str, ...]
    create: tuple[str, ...]
    load: tuple[str, ...]
    delete: tuple[str, ...]

    def runs(self, builder: Builder) -> bool:
        """
        Whether the cluster is there already.
        """
        command = [self.name, *self.running]
        result = subprocess.run(command, env=_environment(builder), capture_output=True, text=True, check=False)
        return NAME in result.stdout.split()

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
    running=("get", "clusters"),
    create=("create", "cluster", "--name", NAME, "--wait", "5m"),
    load=("load", "image-archive", "--name", NAME),
    delete=("delete", "cluster", "--name", NAME),
)
MINIKUBE = Tool(
    "minikube",
    NAME,
    running=("status", "--profile", NAME, "--format", "{{.Name}}"),
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
    if not tool.runs(builder):
        tool.run(tool.create, builder)
    for part in PLATFORM:
        print(f"installing {part.name} from {part.url}", flush=True)
        install(part, tool.context)
    _script("build", "--builder", builder.name)
    for image in IMAGES:
        print(f"loading {image}", flush=True)
        _load(tool, builder, f"{image}:{version()}")
    _script("deploy", tool.name, "--context", tool.context)


def _load(tool: Tool, builder: Builder, image: str) -> None:
    """
    Bring an image into the cluster, under the name that the overlays use.
    """
    name = f"dev.local/{image}"
    with tempfile.TemporaryDirectory() as folder:
        archive = f"{folder}/image.tar"
        for words in (["tag", image, name], ["save", "--output", archive, name]):
            result = subprocess.run([builder.name, *words], capture_output=True, text=True, check=False)
            if result.returncode:
                raise failure(f"{builder.name} {' '.join(words)}: {result.stderr.strip()}", "scripts/build says more")
        tool.run((*tool.load, archive), builder)


def _script(name: str, *words: str) -> None:
    if subprocess.run([SCRIPTS / name, *words], check=False).returncode:
        raise failure(f"scripts/{name} failed", "it says why above; then scripts/cluster up goes on from here")


def _environment(builder: Builder) -> dict[str, str]:
    """
    What the tool is told by: kind takes docker unless this names podman.
    """
    return {**os.environ, **({"KIND_EXPERIMENTAL_PROVIDER": "podman"} if builder.name == "podman" else {})}
