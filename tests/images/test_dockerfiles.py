import hashlib
import json
import re

import pytest

from predictor.settings import EMBEDDED_MODEL
from processes import ROOT
from tests.manifests.pods import DEFAULT_PORTS, containers_of
from tests.manifests.rendered import Form
from tests.manifests.test_ray import job_pods

from .containers import BASE_IMAGE

PODS = {container.service: container for container in containers_of(Form("base"))}
PODS["score"] = job_pods()[0].containers[0]


@pytest.fixture(params=["predictor", "transformer"])
def service(request: pytest.FixtureRequest) -> str:
    """
    Each service in turn.
    """
    service: str = request.param
    return service


@pytest.fixture(params=["predictor", "transformer", "score"])
def image(request: pytest.FixtureRequest) -> str:
    """
    Each image in turn: the services', and that of the job that scores a corpus.
    """
    image: str = request.param
    return image


def lines(image: str) -> list[str]:
    """
    The instructions of an image's Dockerfile, each in one line.
    """
    text = re.sub(r"^\s*#.*\n", "", (ROOT / f"Dockerfile.{image}").read_text(), flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def last_stage(image: str) -> dict[str, str]:
    """
    The instructions of the stage that becomes the image, by their first word.
    """
    every = lines(image)
    start = max(index for index, line in enumerate(every) if line.startswith("FROM "))
    return dict(line.split(" ", 1) for line in every[start:])


def test_base_is_pinned(image: str) -> None:
    """
    Every stage comes from the one base image, of one version of Python, which a build argument can pin by its digest.
    """
    sources = [line.split()[1:] for line in lines(image) if line.startswith("FROM ")]
    names = {words[2] for words in sources if len(words) > 1}
    assert {words[0] for words in sources} - names == {"$PYTHON"}
    assert f"ARG PYTHON={BASE_IMAGE}" in lines(image)


def test_installs_are_pinned(image: str) -> None:
    """
    Every installation of Python packages is held to the constraints, and names no local version.
    """
    installs = [command for line in lines(image) for command in line.split("&&") if "pip" in command.split()]
    assert installs
    assert all("-c /constraints.txt" in command for command in installs if " install " in command)
    assert "+cpu" not in " ".join(lines(image))


def test_user(image: str) -> None:
    """
    The image's user is the manifests', as a number that is not root's.
    """
    context = PODS[image].spec["securityContext"]
    assert last_stage(image)["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_signals(service: str) -> None:
    """
    The service itself is process 1 and gets SIGTERM.
    """
    stage = last_stage(service)
    assert json.loads(stage["ENTRYPOINT"]) == ["python", "-m", service]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert "CMD" not in stage


def test_ports(service: str) -> None:
    """
    The image exposes the ports that the service listens on by default.
    """
    assert tuple(map(int, last_stage(service)["EXPOSE"].split())) == DEFAULT_PORTS[service]


def test_code_is_last(image: str) -> None:
    """
    Code goes in after everything that is slow to make.
    """
    copies = [line for line in lines(image) if line.startswith("COPY --from")]
    assert copies[-1] == "COPY --from=code /app ./"


@pytest.mark.parametrize("image", ["predictor", "score"])
def test_embedded_model(image: str) -> None:
    """
    Whoever holds a model knows the embedded one and its digest.
    """
    arguments = dict(re.findall(r"ARG (\w+)=(\S+)", "\n".join(lines(image))))
    assert arguments["MODEL"] == EMBEDDED_MODEL.name
    with (EMBEDDED_MODEL / "model.safetensors").open("rb") as weights:
        assert arguments["MODEL_SHA256"] == hashlib.file_digest(weights, "sha256").hexdigest()
