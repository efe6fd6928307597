import hashlib
import json
import re

import pytest

from predictor.settings import EMBEDDED_MODEL
from processes import ROOT
from tests.manifests.pods import DEFAULT_PORTS, containers_of
from tests.manifests.rendered import Form

from .containers import BASE_IMAGE

PODS = {container.service: container for container in containers_of(Form("base"))}


@pytest.fixture(params=["predictor", "transformer"])
def service(request: pytest.FixtureRequest) -> str:
    """
    Each service in turn.
    """
    service: str = request.param
    return service


def lines(service: str) -> list[str]:
    """
    The instructions of a service's Dockerfile, each in one line.
    """
    text = re.sub(r"^\s*#.*\n", "", (ROOT / f"Dockerfile.{service}").read_text(), flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def last_stage(service: str) -> dict[str, str]:
    """
    The instructions of the stage that becomes the image, by their first word.
    """
    every = lines(service)
    start = max(index for index, line in enumerate(every) if line.startswith("FROM "))
    return dict(line.split(" ", 1) for line in every[start:])


def test_base_is_pinned(service: str) -> None:
    """
    Every stage comes from the one base image, of one version of Python, which a build argument can pin by its digest.
    """
    sources = [line.split()[1:] for line in lines(service) if line.startswith("FROM ")]
    names = {words[2] for words in sources if len(words) > 1}
    assert {words[0] for words in sources} - names == {"$PYTHON"}
    assert f"ARG PYTHON={BASE_IMAGE}" in lines(service)


def test_installs_are_pinned(service: str) -> None:
    """
    Every installation of Python packages is held to the constraints, and names no local version.
    """
    installs = [command for line in lines(service) for command in line.split("&&") if "pip" in command.split()]
    assert installs
    assert all("-c /constraints.txt" in command for command in installs if " install " in command)
    assert "+cpu" not in " ".join(lines(service))


def test_user(service: str) -> None:
    """
    The image's user is the manifests', as a number that is not root's.
    """
    context = PODS[service].spec["securityContext"]
    assert last_stage(service)["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"


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


def test_code_is_last(service: str) -> None:
    """
    Code goes in after everything that is slow to make.
    """
    copies = [line for line in lines(service) if line.startswith("COPY --from")]
    assert copies[-1] == "COPY --from=code /app ./"


def test_embedded_model() -> None:
    """
    The predictor's Dockerfile knows the embedded model and its digest.
    """
    arguments = dict(re.findall(r"ARG (\w+)=(\S+)", "\n".join(lines("predictor"))))
    assert arguments["MODEL"] == EMBEDDED_MODEL.name
    with (EMBEDDED_MODEL / "model.safetensors").open("rb") as weights:
        assert arguments["MODEL_SHA256"] == hashlib.file_digest(weights, "sha256").hexdigest()
