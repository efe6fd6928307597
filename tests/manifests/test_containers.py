"""
The files for platforms that are no Kubernetes.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from .pods import containers_of
from .rendered import MANIFESTS, Form, Object
from .strict import faults
from .test_pods import SETTINGS, VERSION, paths_of, unknown_arguments

FOLDER = MANIFESTS / "containers"
# Our ports where the arguments say nothing else, as in all of these files.
HTTP_PORT = {"predictor": 8090, "transformer": 8080}


@dataclass(frozen=True)
class Container:
    """
    What all of the platforms say of a container, in their own words.

    Attributes:
        args: of the service, without its command.
        probes: URL paths by port.
        stop_seconds: from SIGTERM to SIGKILL.
    """

    file: str
    service: str
    image: str
    args: tuple[str, ...]
    probes: list[tuple[int, str]]
    stop_seconds: float
    env: dict[str, str] = field(default_factory=dict)


def _load(file: str) -> Any:
    return yaml.safe_load((FOLDER / file).read_text())


COMPOSE = _load("compose.yaml")
CLOUD_RUN = _load("cloud-run.yaml")
ECS = _load("ecs-task.json")
ACI = _load("azure-container-instances.yaml")


def _checked_url(test: list[str]) -> tuple[int, str]:
    port, _, path = test[-1].partition("localhost:")[2].partition("')")[0].partition("/")
    return int(port), f"/{path}"


def _of_compose() -> list[Container]:
    return [
        Container(
            "compose.yaml",
            name,
            each["image"],
            tuple(each.get("command", ())),
            [_checked_url(each["healthcheck"]["test"])],
            float(each["stop_grace_period"].removesuffix("s")),
            {key: re.sub(r"\$\{.*\}", "p", value) for key, value in each.get("environment", {}).items()},
        )
        for name, each in COMPOSE["services"].items()
        if name in SETTINGS
    ]


def _probed(container: Object) -> list[tuple[int, str]]:
    gets = [probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")]
    return [(get["port"], get["path"]) for get in gets]


def _of_cloud_run() -> list[Container]:
    return [
        Container(
            "cloud-run.yaml",
            each["name"],
            each["image"],
            tuple(each.get("args", ())),
            _probed(each),
            10,
            {pair["name"]: pair["value"] for pair in each["env"]},
        )
        for each in CLOUD_RUN["spec"]["template"]["spec"]["containers"]
    ]


def _of_ecs() -> list[Container]:
    return [
        Container(
            "ecs-task.json",
            each["name"],
            each["image"],
            tuple(each.get("command", ())),
            [_checked_url(each["healthCheck"]["command"])],
            each["stopTimeout"],
        )
        for each in ECS["containerDefinitions"]
    ]


def _of_aci() -> list[Container]:
    return [
        Container(
            "azure-container-instances.yaml",
            each["name"],
            each["properties"]["image"],
            tuple(each["properties"]["command"][3:]),
            _probed(each["properties"]),
            30,
        )
        for each in ACI["properties"]["containers"]
    ]


CONTAINERS = [*_of_compose(), *_of_cloud_run(), *_of_ecs(), *_of_aci()]


@pytest.fixture(params=CONTAINERS, ids=lambda each: f"{each.file}-{each.service}")
def container(request: pytest.FixtureRequest) -> Container:
    """
    Each container of ours on each platform.
    """
    container: Container = request.param
    return container


def test_image(container: Container) -> None:
    """
    Every image is the service's own, at the project's version.
    """
    assert container.image.rpartition("/")[2] == f"sentiment-{container.service}:{VERSION}"


def test_arguments(container: Container) -> None:
    """
    Every service understands its arguments, and the transformer looks for the predictor's REST port.
    """
    assert not unknown_arguments(container.service, container.args)
    if container.service == "transformer":
        host = "predictor" if container.file == "compose.yaml" else "localhost"
        assert container.args == (f"--predictor_host={host}:8090",)


def test_settings(container: Container) -> None:
    """
    Every environment variable is a setting, with a possible value, and the pod's time to stop is enough for it.
    """
    settings = SETTINGS[container.service]
    given = {name.lower(): value for name, value in container.env.items()}
    assert set(given) <= set(settings.model_fields)
    made = settings(**given)
    assert made.drain_seconds + made.grace_seconds < container.stop_seconds


def test_health(container: Container) -> None:
    """
    Every container is asked for its health, on its own port and a route that it has.
    """
    assert container.probes
    for port, path in container.probes:
        assert port == HTTP_PORT[container.service]
        assert "get" in paths_of(container.service)[path]


def test_compose_is_hardened() -> None:
    """
    Under compose nothing can write but what monitoring keeps, has a capability, is root, or takes more than its share.
    """
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True, name
        mounts = [mount.split(":") for mount in service.get("volumes", ())]
        writable = [source for source, *_, mode in mounts if mode != "ro"]
        assert writable == (["prometheus"] if name == "prometheus" else [])
        assert ("tmpfs" in service) == (name == "grafana")
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["user"].partition(":")[0]) > 0
        assert {"cpus", "memory"} == set(service["deploy"]["resources"]["limits"])


def test_compose_is_closed() -> None:
    """
    Under compose the transformer has ports outside, Grafana one on the loopback; the rest's network leads nowhere.
    """
    for name, service in COMPOSE["services"].items():
        assert ("ports" in service) == ("public" in service["networks"]) == (name in {"transformer", "grafana"})
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["grafana"]["ports"])
    assert COMPOSE["networks"]["internal"] == {"internal": True}


def test_compose_pins_images() -> None:
    """
    Every image under compose is of one version.
    """
    images = [service["image"] for service in COMPOSE["services"].values()]
    assert [image for image in images if not re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+(-[a-z]+)?", image)] == []


def test_compose_has_monitoring_apart() -> None:
    """
    Under compose the service is what starts, and monitoring with its profile alone.
    """
    profiles = {name: service.get("profiles", []) for name, service in COMPOSE["services"].items()}
    assert {name for name, of in profiles.items() if not of} == {"transformer", "predictor", "redis"}
    assert {name for name, of in profiles.items() if of == ["monitoring"]} == {"prometheus", "grafana"}


def test_compose_mounts_what_there_is() -> None:
    """
    Every file and folder that compose mounts is there.
    """
    mounts = [mount.split(":")[0] for service in COMPOSE["services"].values() for mount in service.get("volumes", ())]
    assert [mount for mount in mounts if mount.startswith(".") and not (FOLDER / mount).exists()] == []
    assert {mount for mount in mounts if not mount.startswith(".")} == set(COMPOSE["volumes"])


def test_compose_has_the_redis_of_the_base() -> None:
    """
    Compose's Redis is the base's, with a password from outside without which nothing starts.
    """
    [base] = [container.spec for container in containers_of(Form("base")) if container.service == "redis"]
    redis = COMPOSE["services"]["redis"]
    assert redis["image"] == base["image"]
    assert redis["command"] == [arg.replace("$(REDISCLI_AUTH)", "${REDIS_PASSWORD}") for arg in base["args"]]
    assert ":${REDIS_PASSWORD:?" in COMPOSE["services"]["transformer"]["environment"]["REDIS_URL"]


def test_ecs_is_hardened() -> None:
    """
    On ECS nothing can write, has a capability or is root, and the containers fit into the task.
    """
    definitions = ECS["containerDefinitions"]
    for definition in definitions:
        assert definition["readonlyRootFilesystem"] is True
        assert definition["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
        assert definition["user"] == "65532:65532"
    for what in ("cpu", "memory"):
        assert sum(definition[what] for definition in definitions) <= int(ECS[what])


def test_cloud_run_is_valid() -> None:
    """
    Cloud Run's file is a Knative Service, without a field that is none.
    """
    assert faults(CLOUD_RUN) == []


def test_cloud_run_waits_for_the_predictor() -> None:
    """
    On Cloud Run the transformer, which has the port, starts once the predictor has.
    """
    template = CLOUD_RUN["spec"]["template"]
    assert json.loads(template["metadata"]["annotations"]["run.googleapis.com/container-dependencies"]) == {
        "transformer": ["predictor"]
    }
    assert [each["name"] for each in template["spec"]["containers"] if "ports" in each] == ["transformer"]
