"""
What the manifests need in a cluster, at the versions that KServe itself is tested with (its kserve-deps.env).
"""

import json
import subprocess
import time
from dataclasses import dataclass, field

from deployment.manifest import KUBECTL
from deployment.refusal import failure

ATTEMPTS = 6
PAUSE_SECONDS = 10
READY_SECONDS = 600


@dataclass(frozen=True)
class Part:
    """
    A project's release.

    Attributes:
        url: of its files, in the order in which they are applied.
        awaited: the Deployments without which the next part fails; none is all.
        settings: of its ConfigMaps, by name and key; a value that is a map is merged into JSON.
    """

    name: str
    namespace: str
    url: str
    files: tuple[str, ...]
    awaited: tuple[str, ...] = ()
    settings: dict[str, dict[str, str | dict[str, object]]] = field(default_factory=dict)


# This is the one place of these versions. KServe's is that of the SDK in pyproject.toml.
PLATFORM = (
    Part(
        "cert-manager",
        "cert-manager",
        "https://github.com/cert-manager/cert-manager/releases/download/v1.17.0",
        ("cert-manager.yaml",),
    ),
    Part(
        "Knative Serving",
        "knative-serving",
        "https://github.com/knative/serving/releases/download/knative-v1.21.1",
        ("serving-crds.yaml", "serving-core.yaml"),
        settings={
            "config-network": {"ingress-class": "kourier.ingress.networking.knative.dev"},
            # its default domain is the cluster's own, under which nothing is reachable from outside
            "config-domain": {"example.com": ""},
        },
    ),
    Part(
        "Kourier",
        "kourier-system",
        "https://github.com/knative-extensions/net-kourier/releases/download/knative-v1.21.1",
        ("kourier.yaml",),
    ),
    Part(
        "KServe",
        "kserve",
        "https://github.com/kserve/kserve/releases/download/v0.21.0",
        ("kserve-crds.yaml", "kserve.yaml"),
        # the release brings more controllers, whose definitions of others' we do not install
        awaited=("kserve-controller-manager",),
        # without it the service's address is Istio's, which is not here
        settings={"inferenceservice-config": {"ingress": {"disableIstioVirtualHost": True}}},
    ),
)


def install(part: Part, context: str) -> None:
    """
    Apply a part's files and settings, and wait until it runs.

    Raises:
        Failure: a file cannot be had, or the part does not start.
    """
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": part.namespace}}
    _kubectl(context, "apply", "--server-side", "-f", "-", text=json.dumps(namespace))  # KServe's file has none
    for file in part.files:
        _kubectl(context, "apply", "--server-side", "--force-conflicts", "-f", f"{part.url}/{file}")
    for name, values in part.settings.items():
        _set(context, part.namespace, name, values)
    deployments = [f"deployment/{name}" for name in part.awaited] or ["deployment", "--all"]
    wait = ("wait", "--for=condition=Available", f"--timeout={READY_SECONDS}s", "-n", part.namespace)
    _kubectl(context, *wait, *deployments)


def _set(context: str, namespace: str, name: str, values: dict[str, str | dict[str, object]]) -> None:
    data = {}
    for key, value in values.items():
        path = f"-o=jsonpath={{.data.{key}}}"
        if isinstance(value, dict):
            live = json.loads(_kubectl(context, "-n", namespace, "get", "configmap", name, path))
            data[key] = json.dumps(live | value)
        else:
            data[key] = value
    patch = json.dumps({"data": data})
    _kubectl(context, "-n", namespace, "patch", "configmap", name, "--type=merge", "-p", patch)


def _kubectl(context: str, *words: str, text: str | None = None) -> str:
    """
    Run kubectl, again where a webhook or a definition of the step before is not there yet.
    """
    for attempt in range(ATTEMPTS):
        command = [str(KUBECTL), "--context", context, *words]
        result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return result.stdout
        if attempt < ATTEMPTS - 1:
            time.sleep(PAUSE_SECONDS)
    said = result.stderr.strip().splitlines()[-1:] or ["nothing said"]
    raise failure(f"kubectl {' '.join(words)}: {said[0]}", "see whether the cluster reaches the internet; then again")
