import json
import os
import subprocess
import sys
import tomllib
from decimal import Decimal
from functools import cache

import pytest
from opentelemetry.sdk import environment_variables
from pydantic import ValidationError

from predictor import openapi as predictor_openapi
from predictor.settings import PredictorSettings
from transformer import openapi as transformer_openapi
from transformer.settings import TransformerSettings

from .pods import Container, Pod, containers_of, pods_of
from .rendered import OVERLAYS, ROOT, Form

SETTINGS = {"predictor": PredictorSettings, "transformer": TransformerSettings}
DOCUMENTS = {"predictor": predictor_openapi, "transformer": transformer_openapi}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
UNITS = {"": Decimal(1), "m": Decimal("0.001"), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}
SECRETS = {"url": "redis://:password@sentiment-redis:6379/0", "password": "password", "auth_token": "token"}
# From SIGTERM to Knative's queue-proxy letting the container have it, while no request comes (`drainSleepDuration`).
KNATIVE_QUIET_SECONDS = 30


def services_of(form: Form) -> list[Container]:
    """
    The containers that run our images.
    """
    return [container for container in containers_of(form) if container.service in SETTINGS]


def quantity(text: str | int) -> Decimal:
    """
    A quantity of Kubernetes as a number.
    """
    digits = str(text).rstrip("mMiG")
    return Decimal(digits) * UNITS[str(text).removeprefix(digits)]


def environment(container: Container) -> dict[str, str]:
    """
    The environment, secrets put in.
    """
    return {
        each["name"]: each["value"] if "value" in each else SECRETS[each["valueFrom"]["secretKeyRef"]["key"]]
        for each in container.spec["env"]
    }


def test_images(form: Form) -> None:
    """
    Our images have the project's version and come from one registry; with Ray where it is used; none is latest.
    """
    predictor = f"sentiment-predictor:{VERSION}" + ("-ray" if form.of("RayCluster") else "")
    images = [container.spec["image"] for container in containers_of(form)]
    ours = [image.rpartition("/") for image in images if "sentiment" in image]
    assert {name for _, _, name in ours} == {predictor, f"sentiment-transformer:{VERSION}"}
    assert len({registry for registry, _, _ in ours}) == 1
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_registry_is_one_edit(overlay: str) -> None:
    """
    An overlay's registry stands in its kustomization alone, as a name that no one can own, or one that is never pulled.
    """
    images = {container.spec["image"] for container in services_of(Form(f"overlays/{overlay}"))}
    assert {image.partition("/")[0] for image in images} <= {"registry.example.com", "dev.local"}


def test_resources(form: Form) -> None:
    """
    Every container requests CPU and memory, and is limited to no less.
    """
    for container in containers_of(form):
        resources = container.spec["resources"]
        for what in ("cpu", "memory"):
            assert 0 < quantity(resources["requests"][what]) <= quantity(resources["limits"][what])


def test_threads_are_whole_cores(form: Form) -> None:
    """
    The predictor has whole cores, one for each thread that it starts by default.
    """
    for container in services_of(form):
        cores = quantity(container.spec["resources"]["limits"]["cpu"])
        assert cores == cores.to_integral_value()


def test_probes(form: Form) -> None:
    """
    Every container is probed for its start, its readiness and its life, wherever something would run the probes.
    """
    for container in containers_of(form):
        assert len(container.probes) == (3 if container.has_probes else 0), container.spec["name"]


def test_hardened(form: Form) -> None:
    """
    No container runs as root, may become it, has a capability, or can write to its image or anything else.
    """
    for pod in pods_of(form):
        check_hardened(pod)


def check_hardened(pod: Pod) -> None:
    """
    The law above, of one pod; Ray and its client have folders to write to, within bounds, and they go with the pod.
    """
    services = [container.service for container in pod.containers]
    asks_ray = any(each["name"] == "PREDICTOR_REPLICAS" for one in pod.containers for each in one.spec.get("env", []))
    folders = ["tmp", "shm"] if services == ["ray"] else ["tmp"] if asks_ray else []
    assert [volume["name"] for volume in pod.spec.get("volumes", [])] == folders
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod.spec.get("volumes", []))
    for container in pod.containers:
        context = dict(container.spec["securityContext"])
        assert context.pop("runAsUser") == (999 if container.service == "redis" else 65532)
        assert context.pop("runAsGroup") > 0
        assert context == {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_strictest_profile(form: Form) -> None:
    """
    The namespace lets no less hardened pod in.
    """
    [namespace] = form.of("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_accounts(form: Form) -> None:
    """
    Every pod has an account of its own, which is there, and none has a token.
    """
    accounts = {account["metadata"]["name"]: account for account in form.of("ServiceAccount")}
    assert sorted(pod.spec["serviceAccountName"] for pod in pods_of(form)) == sorted(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


def test_settings(form: Form) -> None:
    """
    Every environment variable of a service is one of its settings, with a possible value, or OpenTelemetry's or Ray's.
    """
    for container in services_of(form):
        settings = SETTINGS[container.service]
        given = environment(container)
        of_traces = {name for name in given if name.startswith("OTEL_")}
        assert of_traces <= set(vars(environment_variables))
        of_ray = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
        ours = {name.lower(): value for name, value in given.items() if name not in of_traces | of_ray}
        assert set(ours) <= set(settings.model_fields)
        settings(**ours)


def test_settings_would_fail() -> None:
    """
    An impossible value of a setting is found.
    """
    with pytest.raises(ValidationError):
        PredictorSettings(numeric_mode="int8")


def test_arguments(form: Form) -> None:
    """
    Every service understands its arguments.
    """
    for container in services_of(form):
        assert not unknown_arguments(container.service, tuple(container.spec["args"]))


def test_arguments_would_fail() -> None:
    """
    An unknown argument is found.
    """
    assert "--http_prot" in unknown_arguments("predictor", ("--http_prot=8080",))


@cache
def unknown_arguments(service: str, args: tuple[str, ...]) -> str:
    """
    What a service says against its arguments; an impossible setting, read after them, keeps it from starting.
    """
    command = [sys.executable, "-m", service, *args]
    env = {**os.environ, "LOG_LEVEL": "impossible"}
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return "" if "LOG_LEVEL" in result.stderr else result.stderr


def test_probe_routes(form: Form) -> None:
    """
    Every probe asks for a route, on a port, that a service in its pod has.
    """
    for pod in pods_of(form):
        rest = {min(container.ports): container.service for container in pod.containers}
        grpc = {max(container.ports) for container in pod.containers}
        for probe in (probe for container in pod.containers for probe in container.probes.values()):
            if "httpGet" in probe:
                paths = paths_of(rest[probe["httpGet"]["port"]])
                assert "get" in paths[probe["httpGet"]["path"].replace("/sentiment/", "/{model_name}/")]
            elif "grpc" in probe:
                assert probe["grpc"]["port"] in grpc


@cache
def paths_of(service: str) -> dict[str, dict[str, object]]:
    """
    A service's routes.
    """
    paths: dict[str, dict[str, object]] = DOCUMENTS[service].build("sentiment")["paths"]
    return paths


def test_grace(form: Form) -> None:
    """
    A pod that stops has time for DRAIN_SECONDS and GRACE_SECONDS, in Knative after the time that it waits itself.
    """
    for pod in pods_of(form):
        for container in pod.containers:
            if container.service in SETTINGS:
                settings = SETTINGS[container.service]()
                needed = settings.drain_seconds + settings.grace_seconds
                knative = form.mode == "Knative"
                granted = pod.spec["timeout" if knative else "terminationGracePeriodSeconds"]
                assert needed + (KNATIVE_QUIET_SECONDS if knative else 0) < granted


def test_no_secret(form: Form) -> None:
    """
    No form holds a secret; what a container needs is in the one Secret that the README makes.
    """
    assert form.of("Secret") == []
    env = [each for container in containers_of(form) for each in container.spec["env"]]
    references = [each["valueFrom"]["secretKeyRef"] for each in env if "valueFrom" in each]
    ray = {"sentiment-ray"} if form.of("RayCluster") else set()  # which KubeRay makes
    assert {reference["name"] for reference in references} == {"sentiment-redis"} | ray
    assert {reference["key"] for reference in references} <= set(SECRETS)
    assert not any(word in json.dumps(form.objects) for word in ("redis://", "rediss://"))
