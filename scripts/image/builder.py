"""
docker and podman, by the few verbs that an image needs.
"""

import json
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from image.source import ROOT


class Failure(Exception):
    """
    The builder could not do it; the message is one line.
    """


@dataclass(frozen=True)
class Image:
    """
    What is to be built.

    Attributes:
        dockerfile: its name in the project's folder.
        tags: what the image is called.
        arguments: the Dockerfile's.
        options: more of the builder's own.
    """

    dockerfile: str
    tags: Sequence[str]
    arguments: Mapping[str, str]
    options: Sequence[str]


class Builder(ABC):
    """
    What builds, names and pushes images.
    """

    name: ClassVar[str]

    def usable(self) -> bool:
        """
        Whether it is installed and answers.
        """
        try:
            return subprocess.run([self.name, "info"], capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    @abstractmethod
    def build(self, image: Image) -> None:
        """
        Build an image for this machine's platform.
        """

    @abstractmethod
    def push(self, tag: str) -> str:
        """
        Push an image to the registry that its tag names; the digest by which the registry knows it.
        """

    @abstractmethod
    def build_and_push(self, image: Image, platforms: str) -> str:
        """
        Build an image for several platforms and push it under each tag; the digest by which the registry knows it.
        """

    def size(self, tag: str) -> int:
        """
        Bytes of an image, unpacked.
        """
        return int(self._inspect(tag, "{{.Size}}"))

    def digest(self, tag: str) -> str:
        """
        The digest by which this machine knows an image.
        """
        return "sha256:" + self._inspect(tag, "{{.Id}}").removeprefix("sha256:")

    def _build(self, command: Sequence[str], image: Image) -> None:
        given = [f"--build-arg={name}={value}" for name, value in image.arguments.items()]
        words = [*command, f"--file={image.dockerfile}", *given, *image.options, "."]
        self._run(words, f"{self.name} could not build {image.dockerfile}; its last lines say why")

    def _push(self, command: Sequence[str], tag: str) -> None:
        self._run(
            command, f"{self.name} could not push {tag}; its last lines say why, and `{self.name} login` may help"
        )

    def _run(self, command: Sequence[str], failure: str) -> None:
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise Failure(failure)

    def _inspect(self, tag: str, template: str) -> str:
        command = [self.name, "image", "inspect", f"--format={template}", tag]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise Failure(f"{self.name} does not know {tag}: {result.stderr.strip()}")
        return result.stdout.strip()


class Docker(Builder):
    """
    docker with BuildKit.
    """

    name = "docker"

    def build(self, image: Image) -> None:
        """
        See Builder. A builder that runs in a container keeps the image to itself unless told to load it.
        """
        self._build(["docker", "buildx", "build", "--load", *_named(image.tags)], image)

    def push(self, tag: str) -> str:
        """
        See Builder.
        """
        self._push(["docker", "push", tag], tag)
        name = tag.rpartition(":")[0].removeprefix("docker.io/")  # as Docker shows its own hub's
        known = self._inspect(tag, '{{join .RepoDigests " "}}').split()
        return next(each.rpartition("@")[2] for each in known if each.startswith(f"{name}@"))

    def build_and_push(self, image: Image, platforms: str) -> str:
        """
        See Builder.
        """
        with tempfile.TemporaryDirectory() as folder:
            metadata = Path(folder, "metadata.json")
            to = [f"--platform={platforms}", "--push", f"--metadata-file={metadata}"]
            self._build(["docker", "buildx", "build", *to, *_named(image.tags)], image)
            digest: str = json.loads(metadata.read_text())["containerimage.digest"]
            return digest


class Podman(Builder):
    """
    podman, rootless or not.
    """

    name = "podman"

    def build(self, image: Image) -> None:
        """
        See Builder.
        """
        self._build(["podman", "build", *_named(image.tags)], image)

    def push(self, tag: str) -> str:
        """
        See Builder.
        """
        return self._push_for_digest("push", tag, tag)

    def build_and_push(self, image: Image, platforms: str) -> str:
        """
        See Builder. The platforms' images meet in a local list, made anew because a build adds to what is there.
        """
        images = f"{image.dockerfile.lower()}-platforms"
        if subprocess.run([self.name, "manifest", "exists", images], check=False).returncode == 0:
            self._run(["podman", "manifest", "rm", images], f"podman could not remove its list {images}")
        self._build(["podman", "build", f"--platform={platforms}", f"--manifest={images}"], image)
        digests = [self._push_for_digest("manifest push --all", images, tag) for tag in image.tags]
        return digests[0]

    def _push_for_digest(self, verb: str, image: str, tag: str) -> str:
        with tempfile.NamedTemporaryFile("r") as digest:
            self._push(["podman", *verb.split(), f"--digestfile={digest.name}", image, f"docker://{tag}"], tag)
            return digest.read()


def find(name: str | None) -> Builder:
    """
    The builder of a name, or the first that can be used.

    Raises:
        Failure: it, or both, cannot be used.
    """
    builders = [builder for builder in (Docker(), Podman()) if name in (None, builder.name)]
    for builder in builders:
        if builder.usable():
            return builder
    names = " or ".join(builder.name for builder in builders)
    raise Failure(f"no builder here: install or start {names}; `{builders[-1].name} info` says what it lacks")


def _named(tags: Sequence[str]) -> list[str]:
    return [f"--tag={tag}" for tag in tags]
