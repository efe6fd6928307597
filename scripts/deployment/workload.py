"""
What KServe makes of an InferenceService: for each component a Deployment, or in Knative a Service of Knative's.

The conditions of an InferenceService are those of what answers: they stay true while a new image cannot start and the
pods of before go on, and as long as KServe has not seen a change. So what it has made is asked as well.
"""

import json
from collections.abc import Iterator

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
    held = {each["name"]: each for each in live["spec"]["template"]["spec"]["containers"]}
    others = [each for each in containers if not _holds(held.get(each["name"]), each)]
    return f"still has another {others[0]['name']} than was applied" if others else missing(live)


def _holds(held: Object | None, asked: Object) -> bool:
    """
    Whether a container is the one that was asked for, by what neither KServe nor a cluster writes in another way.
    """
    return (
        held is not None
        and held["image"] == asked["image"]
        and set(asked.get("args", [])) <= set(held.get("args", []))
        and _values(asked).items() <= _values(held).items()
    )


def _values(container: Object) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env", []) if "valueFrom" not in each}


def _of_runtime(objects: list[Object], name: str) -> list[Object]:
    """
    The containers of the ServingRuntime that comes with the service; none if it was there before.
    """
    runtimes = [thing["spec"]["containers"] for thing in objects if thing["kind"] == "ServingRuntime"]
    containers: list[Object] = json.loads(json.dumps(runtimes[0] if runtimes else []).replace("{{.Name}}", name))
    return containers
