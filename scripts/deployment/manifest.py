"""
What kustomize makes of an overlay, and what can be told of its objects without a cluster.
"""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from local.supervisor import Failure

Object = dict[str, Any]

OVERLAYS = Path(__file__).resolve().parents[2] / "manifests" / "overlays"
KUBECTL = Path(sys.executable).with_name("kubectl")
MODE = "serving.kserve.io/deploymentMode"

# What others need comes before what needs it. Custom resources come last, the service as the last of them: KServe acts
# on it at once, and finds its accounts, its policies and its runtime there.
_FIRST = ("Namespace", "ServiceAccount", "Secret", "ConfigMap", "NetworkPolicy")
_SERVICE = "InferenceService"
# What the cluster says of an object; the rest is what was asked for.
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


def render(overlay: str) -> list[Object]:
    """
    The objects of an overlay, in the order in which they are applied.

    Args:
        overlay: a name below manifests/overlays, or a folder with a kustomization of one's own.

    Raises:
        Failure: there is no such overlay, or kustomize refuses it.
    """
    folder = OVERLAYS / overlay if (OVERLAYS / overlay).is_dir() else Path(overlay)
    if not (folder / "kustomization.yaml").is_file():
        known = ", ".join(sorted(path.name for path in OVERLAYS.iterdir()))
        raise Failure(f"no overlay is called {overlay}; there are {known}, or a folder with a kustomization.yaml")
    result = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    if result.returncode:
        raise Failure(f"kustomize refuses {overlay}: {result.stderr.strip().removeprefix('error: ')}")
    return in_order(list(yaml.safe_load_all(result.stdout)))


def in_order(objects: list[Object]) -> list[Object]:
    """
    The objects in an order in which a cluster takes them.
    """

    def rank(thing: Object) -> int:
        if thing["kind"] in _FIRST:
            return _FIRST.index(thing["kind"])
        group: str = thing["apiVersion"].rpartition("/")[0]
        custom = "." in group and not group.endswith(".k8s.io")
        return len(_FIRST) + custom + bool(thing["kind"] == _SERVICE)

    return sorted(objects, key=rank)


def service_of(objects: list[Object]) -> Object:
    """
    The InferenceService.

    Raises:
        Failure: there is none, or more than one.
    """
    services = [thing for thing in objects if thing["kind"] == _SERVICE]
    if len(services) != 1:
        raise Failure(f"an overlay has one InferenceService, this one has {len(services)}")
    return services[0]


def name_of(thing: Object) -> str:
    """
    How a person names an object.
    """
    return f"{thing['kind']} {thing['metadata']['name']}"


def asked_for(live: Object) -> Object:
    """
    A live object less what the cluster says of it: what may be applied again, and compared.
    """
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVERS_OWN}
    return copy.deepcopy({key: value for key, value in live.items() if key != "status"} | {"metadata": metadata})
