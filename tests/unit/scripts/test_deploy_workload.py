import copy
from typing import Any

import pytest

from deployment.manifest import name_of, render, service_of
from deployment.workload import lack_of, workloads

Object = dict[str, Any]
PROBE = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5}
SECRET = {"secretKeyRef": {"name": "s", "key": "url"}}
CONTAINER = {
    "name": "kserve-container",
    "image": "i:2",
    "args": ["--workers=1"],
    "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}, {"name": "B", "valueFrom": SECRET}],
    "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
    "readinessProbe": PROBE,
    "volumeMounts": [],
}
# The same as a cluster writes it: defaults said, quantities in one form, what is empty left out.
WRITTEN = {
    "env": [{"name": "A", "value": "1"}, {"name": "EMPTY"}, {"name": "B", "valueFrom": SECRET}],
    "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
    "readinessProbe": {**PROBE, "httpGet": {**PROBE["httpGet"], "scheme": "HTTP"}, "timeoutSeconds": 1},
    "imagePullPolicy": "IfNotPresent",
    "volumeMounts": None,
}
OLD = [
    {"image": "i:1"},
    {"args": []},
    {"env": []},
    {"env": [{"name": "A", "value": "0"}, *WRITTEN["env"][1:]]},
    {"env": [*WRITTEN["env"][:2], {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "other"}}}]},
    {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
    {"resources": {"limits": {"memory": "1Gi"}}},
    {"readinessProbe": {**PROBE, "periodSeconds": 10}},
    {"readinessProbe": None},
]


def deployment(**container: Any) -> Object:
    """
    A live Deployment, ready as Deployments are, of a container that KServe has added to.
    """
    held = copy.deepcopy({**CONTAINER, **WRITTEN, **container})
    held["args"] = [*held["args"], "--model_name=sentiment"]
    held["env"] = [*held["env"], {"name": "INFERENCE_SERVICE_NAME", "value": "sentiment"}]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
    return {
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [held]}}},
        "status": {"observedGeneration": 2, **counts},
    }


@pytest.mark.parametrize(
    ("overlay", "names"),
    [
        ("kind", ["Knative Service sentiment-predictor", "Knative Service sentiment-transformer"]),
        ("standard", ["Deployment sentiment-predictor", "Deployment sentiment-transformer"]),
    ],
)
def test_what_is_made(overlay: str, names: list[str]) -> None:
    """
    KServe makes a Deployment of each component, and in Knative mode a Service of Knative's.
    """
    objects = render(overlay)
    made = [(name_of(thing), containers) for thing, containers in workloads(objects)]
    spec = service_of(objects)["spec"]
    assert made == list(zip(names, (spec[part]["containers"] for part in ("predictor", "transformer")), strict=True))


def test_runtime() -> None:
    """
    A service that leaves its containers to a runtime is asked for the runtime's, under its own name.
    """
    service = {
        "kind": "InferenceService",
        "metadata": {
            "name": "reviews",
            "namespace": "n",
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {"predictor": {"model": {}}},
    }
    runtime = {"kind": "ServingRuntime", "spec": {"containers": [{**CONTAINER, "args": ["--model_name={{.Name}}"]}]}}
    [(_, [container])] = workloads([service, runtime])
    assert container["args"] == ["--model_name=reviews"]
    [(_, none)] = workloads([service])
    assert none == []


def test_runs_what_was_applied() -> None:
    """
    A ready workload with all that was applied, as a cluster writes it, and with what KServe adds, lacks nothing.
    """
    assert lack_of(deployment(), [CONTAINER]) == ""


@pytest.mark.parametrize("old", OLD, ids=str)
def test_runs_what_was_there_before(old: Object) -> None:
    """
    However ready it is, a workload of another image, argument, setting, limit or probe is not what was applied.
    """
    assert lack_of(deployment(**old), [CONTAINER]) == "still has another kserve-container than was applied"


def test_is_not_ready() -> None:
    """
    A workload that is not there, lacks a container, or whose newest pods do not start, is not ready.
    """
    assert lack_of(None, [CONTAINER]) == "not there"
    assert "transformer-container" in lack_of(deployment(), [CONTAINER, {**CONTAINER, "name": "transformer-container"}])
    live = deployment()
    live["status"]["updatedReplicas"] = 0
    assert lack_of(live, [CONTAINER]) == "0 of 1 pods"
