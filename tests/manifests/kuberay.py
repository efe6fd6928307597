"""
KubeRay's kinds (1.7) as far as they are written here, strictly; their pods are held to Kubernetes' own schema.

Their own definitions hold Kubernetes' pod several times over, 2 MB of it.
"""

from typing import Any

_NATIVE = "https://kubernetes.io/api/_definitions.json#/$defs"
_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}


def _exactly(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """
    An object with these fields and no others.
    """
    properties = required | optional
    return {"type": "object", "required": [*required], "properties": properties, "additionalProperties": False}


# Flags of `ray start`; all values are text.
_START = _exactly(
    {},
    **{
        flag: {"type": "string"}
        for flag in ("num-cpus", "include-dashboard", "object-store-memory", "node-manager-port")
    },
)
_GROUP = {"rayStartParams": _START, "template": {"$ref": f"{_NATIVE}/io.k8s.api.core.v1.PodTemplateSpec"}}
_WORKERS = _exactly(
    {"groupName": {"type": "string"}, "replicas": _COUNT, "minReplicas": _COUNT, "maxReplicas": _COUNT, **_GROUP}
)
_CLUSTER = _exactly(
    {
        "rayVersion": {"type": "string"},  # which a token needs
        "authOptions": _exactly({"mode": {"enum": ["token"]}}),
        "headGroupSpec": _exactly(_GROUP),
        "workerGroupSpecs": {"type": "array", "items": _WORKERS},
    }
)
_JOB = _exactly(
    {
        "entrypoint": {"type": "string"},
        "submissionMode": {"enum": ["HTTPMode", "K8sJobMode", "SidecarMode"]},
        "rayClusterSpec": _CLUSTER,
    },
    backoffLimit=_COUNT,
    shutdownAfterJobFinishes={"type": "boolean"},
    ttlSecondsAfterFinished=_COUNT,
)
SCHEMAS = {
    kind: _exactly(
        {
            "apiVersion": {"enum": ["ray.io/v1"]},
            "kind": {"enum": [kind]},
            "metadata": {"$ref": f"{_NATIVE}/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
            "spec": spec,
        }
    )
    for kind, spec in {"RayCluster": _CLUSTER, "RayJob": _JOB}.items()
}
