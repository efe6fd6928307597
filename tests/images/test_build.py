import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT
from tests.manifests.test_pods import VERSION

# A builder that writes down what it is told, and says what the real ones say.
BUILDER = """#!/bin/sh
echo "$*" >>"$LOG"
for word; do
  case $word in
    --digestfile=*) printf sha256:pushed >"${word#*=}" ;;
    --metadata-file=*) printf '{"containerimage.digest": "sha256:pushed"}' >"${word#*=}" ;;
  esac
done
case "$*" in
  *RepoDigests*) echo other/sentiment-transformer@sha256:0 host/team/sentiment-transformer@sha256:pushed ;;
  *Size*) echo 123456789 ;;
  *Id*) echo 1d ;;
  $FAILS) exit 1 ;;
esac
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    A PATH with what the script needs, and no builder.
    """
    for name in ("bash", "dirname", "git"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    return tmp_path


@pytest.fixture(params=["docker", "podman"])
def builder(request: pytest.FixtureRequest, path: Path) -> str:
    """
    Each builder in turn, alone on the PATH.
    """
    name: str = request.param
    (path / name).write_text(BUILDER)
    (path / name).chmod(0o755)
    return name


def build(path: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """
    Run the script.
    """
    command = [ROOT / "scripts" / "build", *arguments]
    env = {"PATH": str(path), "LOG": str(path / "log"), "FAILS": "never", "HOME": os.environ.get("HOME", "/"), **env}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def told(path: Path, *words: str) -> list[str]:
    """
    What the builder was told with all of these words.
    """
    return [line for line in (path / "log").read_text().splitlines() if all(word in line.split() for word in words)]


def rows(result: "subprocess.CompletedProcess[str]") -> list[tuple[str, ...]]:
    """
    The table at the end.
    """
    assert result.returncode == 0, result.stderr
    return [tuple(line.rsplit(maxsplit=2 if "/amd64" in line else 3)) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("builder")
def test_builds(path: Path) -> None:
    """
    Both images are built from their Dockerfiles, under the version that the manifests name, and told with size and id.
    """
    table = rows(build(path, TORCH_INDEX="an-index"))
    for service in ("predictor", "transformer"):
        tag = f"sentiment-{service}:{VERSION}"
        assert (tag, "123", "MB", "sha256:1d") in table
        [command] = told(path, "build", f"--tag={tag}", f"--build-arg=VERSION={VERSION}")
        assert command.endswith(" .")
        assert f"--file=Dockerfile.{service}" in command
        assert ("--build-arg=TORCH_INDEX=an-index" in command) == (service == "predictor")


@pytest.mark.usefixtures("builder")
@pytest.mark.parametrize("platforms", [[], ["--platform=linux/amd64,linux/arm64"]], ids=["one", "two"])
def test_pushes(path: Path, platforms: list[str]) -> None:
    """
    Each tag is pushed to the registry, and told with the registry's digest.
    """
    table = rows(build(path, "--only=transformer", "--push=host/team/", *platforms))
    tags = [row[0] for row in table]
    assert f"host/team/sentiment-transformer:{VERSION}" in tags
    assert {row[-1] for row in table} == {"sha256:pushed"}
    for tag in tags:
        assert told(path, "push", tag) or told(path, "push", f"docker://{tag}") or told(path, "--push", f"--tag={tag}")


@pytest.mark.usefixtures("builder")
def test_other_model(path: Path) -> None:
    """
    A model is the predictor's alone, and goes with its digest.
    """
    assert build(path, "--model=owner/name@commit", "--model-sha256=abc").returncode == 0
    [command] = told(path, "build", "--build-arg=MODEL=owner/name@commit", "--build-arg=MODEL_SHA256=abc")
    assert "--file=Dockerfile.predictor" in command


@pytest.mark.usefixtures("builder")
def test_extras(path: Path) -> None:
    """
    An extra is the predictor's alone, and so is the tag that tells the image from the one without.
    """
    tags = {row[0] for row in rows(build(path, "--extras=ray"))}
    assert {f"sentiment-predictor:{VERSION}-ray", f"sentiment-transformer:{VERSION}"} <= tags
    [command] = told(path, "build", "--build-arg=EXTRAS=ray")
    assert "--file=Dockerfile.predictor" in command
    assert f"--tag=sentiment-predictor:{VERSION}" not in command.split()


@pytest.mark.usefixtures("builder")
def test_image_of_the_job(path: Path) -> None:
    """
    The image that scores a corpus is built when asked for, with a torch for CPUs and a model of choice.
    """
    chosen = ("--model=owner/name@commit", "--model-sha256=abc")
    assert (f"sentiment-score:{VERSION}", "123", "MB", "sha256:1d") in rows(
        build(path, "--only=score", *chosen, TORCH_INDEX="an-index")
    )
    [command] = told(path, "build", "--build-arg=TORCH_INDEX=an-index", "--build-arg=MODEL=owner/name@commit")
    assert "--file=Dockerfile.score" in command


@pytest.mark.usefixtures("builder")
def test_options_of_the_builder(path: Path) -> None:
    """
    What stands behind `--` is the builder's.
    """
    assert build(path, "--only=predictor", "--", "--network=host", "--no-cache").returncode == 0
    assert told(path, "build", "--network=host", "--no-cache")


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("*--file=*", "could not build Dockerfile.transformer"),
        ("*push*", f"could not push host/sentiment-transformer:{VERSION}"),
        ("info", "no builder here: install or start docker or podman"),
    ],
)
def test_failures(path: Path, builder: str, fails: str, words: str) -> None:
    """
    A builder that fails or cannot be used ends it with one line.
    """
    result = build(path, "--only=transformer", "--push=host", FAILS=fails)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_no_builder(path: Path) -> None:
    """
    Without a builder it ends with one line that names those it can use.
    """
    result = build(path)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "install or start docker or podman" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--platform=linux/arm64"],
        ["--model=owner/name@commit"],
        ["--model-sha256=abc"],
        ["--push=https://host"],
        ["--only=redis"],
    ],
    ids=str,
)
def test_flags_that_do_not_fit(path: Path, arguments: list[str]) -> None:
    """
    Flags that make no sense are refused before anything is built.
    """
    result = build(path, *arguments)
    assert result.returncode == 2
    assert "error: " in result.stderr.splitlines()[-1]
