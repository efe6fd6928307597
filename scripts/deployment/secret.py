"""
The Secrets that the manifests name and, on purpose, do not hold.
"""

import contextlib
import secrets
from collections.abc import Iterator

from deployment.cluster import Cluster
from deployment.manifest import Object
from deployment.refusal import failure
from local.supervisor import Failure

REDIS = "sentiment-redis"


def absent(cluster: Cluster, objects: list[Object]) -> list[Object]:
    """
    The Secrets to make before the rest: that of the Redis which comes with the overlay, if there is none yet.

    Raises:
        Failure: one is missing that only a person can make.
    """
    namespace = next(thing["metadata"]["namespace"] for thing in objects if thing["kind"] == "InferenceService")
    made = []
    for name, keys in _named(objects).items():
        if _is_there(cluster, name, namespace):
            continue
        if name == REDIS and any(thing["kind"] == "Deployment" for thing in objects):
            made.append(_of_redis(namespace))
        else:
            values = " ".join(f"--from-literal={key}=…" for key in sorted(keys))
            raise failure(
                f"there is no Secret {name}, which holds {' and '.join(sorted(keys))}",
                f"kubectl -n {namespace} create secret generic {name} {values}",
            )
    return made


def _is_there(cluster: Cluster, name: str, namespace: str) -> bool:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
    with contextlib.suppress(Failure):  # who may deploy need not have the right to read Secrets
        return cluster.read(secret) is not None
    return True


def _of_redis(namespace: str) -> Object:
    password = secrets.token_hex(24)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": REDIS, "namespace": namespace},
        "stringData": {"password": password, "url": f"redis://:{password}@{REDIS}:6379/0"},
    }


def _named(objects: list[Object]) -> dict[str, set[str]]:
    named: dict[str, set[str]] = {}
    for reference in _references(objects):
        if not reference.get("optional"):
            named.setdefault(reference["name"], set()).add(reference["key"])
    return named


def _references(node: object) -> Iterator[Object]:
    if isinstance(node, dict):
        if "secretKeyRef" in node:
            yield node["secretKeyRef"]
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _references(child)
