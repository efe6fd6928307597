"""
What kustomize makes of an overlay, and what can be told of its objects without a cluster.
"""

import copy
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from local.supervisor import Failure

Object = dict[str, Any]

OVERLAYS = Path(__file__).resolve().parents[2] / "manifests" / "overlays"
KUBECTL = Path(sys.executable).with_name("kubectl")
MODE = "serving.kserve.io/deploymentMode"
KNATIVE = "serving.knative.dev/"

# What others need comes before what needs it. Custom resources come last, the service as the last of them: KServe acts
# on it at once, and finds its accounts, its policies and its runtime there.
_FIRST = ("Namespace", "ServiceAccount", "Secret", "ConfigMap", "NetworkPolicy")
_SERVICE = "InferenceService"
# What the cluster says of an object; the rest is what was asked for.
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


def render(overlay: str, images: Sequence[str] = ()) -> list[Object]:
    """
    The objects of an overlay, in the order in which they are applied.

    Args:
        overlay: a name below manifests/overlays, or a folder with a kustomization of one's own.
        images: to take instead of the overlay's images of the same names, registry and version aside.

    Raises:
        Failure: there is no such overlay, kustomize refuses it, or it has no image of a name.
    """
    folder = OVERLAYS / overlay if (OVERLAYS / overlay).is_dir() else Path(overlay)
    if not (folder / "kustomization.yaml").is_file():
        known = ", ".join(sorted(path.name for path in OVERLAYS.iterdir()))
        raise Failure(f"no overlay is called {overlay}; there are {known}, or a folder with a kustomization.yaml")
    result = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    if result.returncode:
        raise Failure(f"kustomize refuses {overlay}: {result.stderr.strip().removeprefix('error: ')}")
    objects = in_order(list(yaml.safe_load_all(result.stdout)))
    for image in images:
        holders = [each for each in _holders(objects) if _name_of_image(each["image"]) == _name_of_image(image)]
        if not holders:
            raise Failure(f"{overlay} has no image {_name_of_image(image)}, which {image} could stand for")
        for holder in holders:
            holder["image"] = image
    return objects


def _holders(node: object) -> Iterator[Object]:
    """
    The containers, wherever they stand.
    """
    if isinstance(node, dict):
        if isinstance(node.get("image"), str):
            yield node
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _holders(child)


def _name_of_image(image: str) -> str:
    return re.split("[:@]", image.rpartition("/")[2])[0]


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
    whose = "Knative " if thing.get("apiVersion", "").startswith(KNATIVE) else ""  # Kubernetes has Services as well
    return f"{whose}{thing['kind']} {thing['metadata']['name']}"


def asked_for(live: Object) -> Object:
    """
    A live object less what the cluster says of it: what may be applied again, and compared.
    """
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVERS_OWN}
    return copy.deepcopy({key: value for key, value in live.items() if key != "status"} | {"metadata": metadata})
