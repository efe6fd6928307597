"""
Containers of our images, run as KServe runs those of the manifests.
"""

import os
import shutil
import subprocess
from typing import Any
from uuid import uuid4

from processes import ROOT, Process, Redis, Service, free_port
from tests.manifests.pods import containers_of
from tests.manifests.rendered import Form

BASE_IMAGE = "python:3.11-slim-bookworm"
# From SIGTERM to SIGKILL: Kubernetes' default, and what the manifests leave to the container.
GRACE_SECONDS = 30
# How podman runs, and how a build installs packages, on a machine that reaches no registry of images.
_SHARED = ROOT.parent / "shared" / "images"
ENVIRONMENT = {"CONTAINERS_CONF": str(_SHARED / "containers.conf")} if _SHARED.exists() else {}
_PODS = {container.service: container.spec for container in containers_of(Form("base"))}


def podman(*arguments: str) -> str:
    """
    What a command of podman prints.
    """
    command, environment = ["podman", *arguments], {**os.environ, **ENVIRONMENT}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def missing() -> str | None:
    """
    What an image cannot be built without, if it is not here.
    """
    if shutil.which("podman") is None:
        return "there is no podman"
    exists = ["podman", "image", "exists", BASE_IMAGE]
    if subprocess.run(exists, env={**os.environ, **ENVIRONMENT}, check=False).returncode:
        return f"podman has no image {BASE_IMAGE}"
    return None


def build(*flags: str) -> dict[str, str]:
    """
    Run scripts/build.

    Args:
        flags: of its own.

    Returns:
        the images' tags by service.
    """
    options = ["--network=host", *_output(_SHARED / "build-mounts.sh").split()] if _SHARED.exists() else []
    printed = _output(ROOT / "scripts" / "build", "--builder=podman", *flags, "--", *options)
    tags = [line.split()[0] for line in printed.splitlines() if line.startswith("sentiment-")]
    return {tag.partition(":")[0].removeprefix("sentiment-"): tag for tag in reversed(tags)}


def _output(*command: Any) -> str:
    result = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class Container(Service):
    """
    An image with the arguments, limits and hardening of its container in the manifests, and not even a /tmp.

    Args:
        service: predictor or transformer.
        tag: its image.
        options: more of podman's.
        env: environment variables.
    """

    def __init__(self, service: str, tag: str, *options: str, **env: str) -> None:
        self.name = f"{service}-{uuid4()}"
        self.port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        pod = _PODS[service]
        ports = [f"--publish=127.0.0.1:{self.port}:8080", f"--publish=127.0.0.1:{self.grpc_port}:8081"]
        given = [f"--env={name}={value}" for name, value in {"INFERENCE_SERVICE_NAME": "sentiment", **env}.items()]
        run = ["podman", "run", "--rm", f"--name={self.name}", *restrictions(pod), *ports, *given, *options]
        Process.__init__(self, [*run, tag, *pod["args"]], ENVIRONMENT)

    def stop(self) -> int:
        """
        Stop it as Kubernetes does: the image's signal, and SIGKILL if it is not gone in time; the exit status.
        """
        podman("stop", f"--time={GRACE_SECONDS}", self.name)
        return self.wait()

    def kill(self) -> None:
        """
        Remove it, whatever it does.
        """
        podman("rm", "--force", "--time=0", "--ignore", self.name)
        super().kill()


class ReachableRedis(Redis):
    """
    A Redis on this machine that containers reach.

    Args:
        address: this machine's in their network.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        self.url = f"redis://{address}:{self.port}/0"
        self.command += ["--bind", "127.0.0.1", address, "--protected-mode", "no"]


def restrictions(pod: dict[str, Any]) -> list[str]:
    """
    Podman's options for the limits and the hardening of a container in the manifests.
    """
    context, limits = pod["securityContext"], pod["resources"]["limits"]
    return [
        f"--user={context['runAsUser']}:{context['runAsGroup']}",
        *(["--read-only", "--read-only-tmpfs=false"] if context["readOnlyRootFilesystem"] else []),
        *([] if context["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]),
        *(f"--cap-drop={name}" for name in context["capabilities"]["drop"]),
        f"--cpus={limits['cpu']}",
        f"--memory={limits['memory'].removesuffix('i')}",
    ]
