"""
What KServe makes of an InferenceService: for each component a Deployment, or in Knative a Service of Knative's.

The conditions of an InferenceService are those of what answers: they stay true while a new image cannot start and the
pods of before go on, and as long as KServe has not seen a change. So what it has made is asked as well.
"""

import json
from collections.abc import Iterator

from kubernetes.utils.quantity import parse_quantity

from deployment.manifest import KNATIVE, MODE, Object
from deployment.readiness import COMPONENTS, missing

_KINDS = {"Standard": ("apps/v1", "Deployment"), "Knative": (f"{KNATIVE}v1", "Service")}


def workloads(objects: list[Object]) -> Iterator[tuple[Object, list[Object]]]:
    """
    Kind and name of what KServe makes of these objects, and the containers that it is asked to make it of.
    """
    for service in (thing for thing in objects if thing["kind"] == "InferenceService"):
        metadata = service["metadata"]
        mode = metadata.get("annotations", {}).get(MODE)
        for component in (name for name in COMPONENTS if mode in _KINDS and name in service["spec"]):
            api_version, kind = _KINDS[mode]
            made = {"name": f"{metadata['name']}-{component}", "namespace": metadata["namespace"]}
            containers = service["spec"][component].get("containers") or _of_runtime(objects, metadata["name"])
            yield {"apiVersion": api_version, "kind": kind, "metadata": made}, containers


def lack_of(live: Object | None, containers: list[Object]) -> str:
    """
    What the live workload still lacks of running these containers, in a few words; empty if nothing.
    """
    if live is None:
        return "not there"
    held = live["spec"]["template"]["spec"]["containers"]
    others = [each for each in containers if not any(_within(each, one) for one in held)]
    return f"still has another {others[0]['name']} than was applied" if others else missing(live)


def _within(asked: object, held: object) -> bool:
    """
    Whether all that was asked for is held.

    KServe and the cluster add to maps and lists, leave out what is empty, and write a quantity in their own way.
    """
    if held is None:
        return not asked
    if isinstance(asked, dict) and isinstance(held, dict):
        return all(_within(value, held.get(key)) for key, value in asked.items())
    if isinstance(asked, list) and isinstance(held, list):
        return all(any(_within(each, one) for one in held) for each in asked)
    return asked == held or _same_quantity(asked, held)


def _same_quantity(asked: object, held: object) -> bool:
    try:
        return bool(parse_quantity(asked) == parse_quantity(held))
    except ValueError:
        return False


def _of_runtime(objects: list[Object], name: str) -> list[Object]:
    """
    The containers of the ServingRuntime that comes with the service; none if it was there before.
    """
    runtimes = [thing["spec"]["containers"] for thing in objects if thing["kind"] == "ServingRuntime"]
    containers: list[Object] = json.loads(json.dumps(runtimes[0] if runtimes else []).replace("{{.Name}}", name))
    return containers
