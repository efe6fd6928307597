"""
Deleting objects, until they are gone: a finalizer, which only its controller takes away, can hold them for long.
"""

import time

from rich.console import Console

from deployment.cluster import Cluster
from deployment.manifest import Object, name_of, service_of
from deployment.refusal import failure
from local.supervisor import Failure

POLL_SECONDS = 1
KEPT = ("Namespace", "Secret")
"""What a person may have made, and others may use."""


def delete(cluster: Cluster, objects: list[Object], console: Console, seconds: float) -> None:
    """
    Delete an overlay's objects, but not the namespace and its Secrets.

    Raises:
        Failure: not all are gone in time.
    """
    there = [cluster.read(thing) for thing in reversed(objects) if thing["kind"] not in KEPT]
    going = [live for live in there if live is not None and cluster.delete(live)]
    see_gone(cluster, going, console, seconds)
    namespace = service_of(objects)["metadata"]["namespace"]
    console.print(f"the namespace and its Secrets stay: kubectl delete namespace {namespace} removes them too")


def see_gone(cluster: Cluster, going: list[Object], console: Console, seconds: float) -> None:
    """
    Return once none of these objects is there any more; another of the same name does not count.

    Raises:
        Failure: one is still there.
    """
    start = time.monotonic()
    with console.status("deleting") as status:
        while True:
            left = []
            for thing in going:
                live = cluster.read(thing)
                if live is not None and live["metadata"]["uid"] == thing["metadata"]["uid"]:
                    left.append(live)
                else:
                    console.print(f"deleted {name_of(thing)}", highlight=False)
            if not left:
                return
            waited, going = time.monotonic() - start, left
            if waited >= seconds:
                raise _hanging(left[0], waited)
            status.update(f"{waited:3.0f} s  {', '.join(map(name_of, left))}")
            time.sleep(POLL_SECONDS)


def _hanging(live: Object, waited: float) -> Failure:
    finalizers = live["metadata"].get("finalizers", [])
    why = f"its finalizers wait for their controllers: {', '.join(finalizers)}" if finalizers else "it is being deleted"
    return failure(
        f"{name_of(live)} is still there after {waited:.0f} s: {why}",
        "see whether they run (KServe's: kubectl get pods -A | grep kserve); the deletion goes on once they do",
    )
