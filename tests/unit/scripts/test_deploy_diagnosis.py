from typing import Any

import pytest

from deployment.diagnosis import Finding, findings

IMAGE = "registry.example.com/sentiment-predictor:0.1.0"
Object = dict[str, Any]


def pod(status: Object, **metadata: Any) -> Object:
    """
    A pod as the API server lists it.
    """
    return {"kind": "Pod", "metadata": {"name": "p", "namespace": "sentiment", **metadata}, "status": status}


def container(state: Object, *, ready: bool = False, last: Object | None = None) -> Object:
    """
    The status of a pod with one container.
    """
    status = {"name": "kserve-container", "image": IMAGE, "ready": ready, "state": state, "lastState": last or {}}
    return {"phase": "Pending", "containerStatuses": [{**status, "restartCount": 3}]}


def event(reason: str, message: str = "", *, kind: str = "Pod", name: str = "p", of_type: str = "Warning") -> Object:
    """
    An event as the API server lists it.
    """
    about = {"kind": kind, "name": name, "namespace": "sentiment"}
    metadata = {"name": f"{name}.1", "namespace": "sentiment", "uid": "1"}
    return {"metadata": metadata, "involvedObject": about, "type": of_type, "reason": reason, "message": message}


def service(*conditions: Object) -> Object:
    """
    An InferenceService with a status.
    """
    metadata = {"name": "sentiment", "namespace": "sentiment"}
    return {"kind": "InferenceService", "metadata": metadata, "status": {"conditions": list(conditions)}}


def unschedulable(message: str) -> Object:
    """
    The status of a pod that the scheduler could not place.
    """
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


TOO_FEW = (
    "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found."
)
TAINTED = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."
WAITING = {
    "ErrImagePull": 'failed to pull and unpack image "registry.example.com/sentiment-predictor:0.1.0": not found',
    "ImagePullBackOff": 'Back-off pulling image "registry.example.com/sentiment-predictor:0.1.0"',
    "InvalidImageName": 'Failed to apply default image tag "a::b": couldn\'t parse image name "a::b"',
    "CreateContainerConfigError": 'secret "sentiment-redis" not found',
}
ENDED = {"exitCode": 2, "reason": "Error", "message": "\nMAX_TEXTS must be a number, not 'many'\n"}
CRASHED = ({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}}, {"terminated": ENDED})
OUT_OF_MEMORY = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
QUOTA = 'pods "p" is forbidden: exceeded quota: team, requested: cpu=2, used: cpu=7, limited: cpu=8'
PROFILE = 'pods "p" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
UNFETCHED = (
    'Revision "sentiment-predictor-00001" failed with message: Unable to fetch image '
    '"registry.example.com/sentiment-predictor:0.1.0": failed to resolve image to digest: not found.'
)


def only(found: list[Finding]) -> Finding:
    """
    The one finding.
    """
    [finding] = found
    return finding


@pytest.mark.parametrize(
    ("reason", "what", "step"),
    [
        ("ErrImagePull", "the image cannot be pulled", "scripts/build --push"),
        ("ImagePullBackOff", "the image cannot be pulled", "image-pull-secret"),
        ("InvalidImageName", "the image cannot be pulled", "`images` in the overlay"),
        (
            "CreateContainerConfigError",
            "its configuration names what is not there",
            "manifests/README.md",
        ),
    ],
)
def test_container_that_cannot_start(reason: str, what: str, step: str) -> None:
    """
    What keeps a container from starting is named with the cluster's words and a next step, and is final.
    """
    waiting = container({"waiting": {"reason": reason, "message": WAITING[reason]}})
    finding = only(findings(None, [pod(waiting)], []))
    assert finding.what.startswith(f"{what}: kserve-container ({IMAGE}): ")
    assert WAITING[reason] in finding.what
    assert step in finding.step
    assert finding.final


def test_container_that_ends() -> None:
    """
    A container that ends again and again is named with its exit status, its last line, and where its log is.
    """
    state, last = CRASHED
    finding = only(findings(None, [pod(container(state, last=last))], []))
    assert "exit status 2: MAX_TEXTS must be a number, not 'many'" in finding.what
    assert finding.container == "kserve-container"
    assert finding.final


@pytest.mark.parametrize("state", [CRASHED[0], {"running": {}}, OUT_OF_MEMORY])
def test_memory(state: Object) -> None:
    """
    A container that was killed for its memory is told so, whatever it does since.
    """
    finding = only(findings(None, [pod(container(state, last=OUT_OF_MEMORY))], []))
    assert finding.what.startswith("it needs more memory than its limit")


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (TOO_FEW, "no node has enough cpu"),
        (TOO_FEW.replace("cpu", "memory"), "no node has enough memory"),
        (TAINTED, "no node takes it"),
    ],
)
def test_no_place(message: str, what: str) -> None:
    """
    A pod that no node has room for is told what is short; one that no node takes for another reason, that.
    """
    finding = only(findings(None, [pod(unschedulable(message))], []))
    assert finding.what == f"{what}: {message}"
    assert finding.final


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_nodes_on_their_way(reason: str) -> None:
    """
    A pod without a place is worth waiting for once an autoscaler brings nodes for it, and for it alone.
    """
    coming = [event(reason, "pod triggered scale-up", of_type="Normal")]
    assert not only(findings(None, [pod(unschedulable(TOO_FEW))], coming)).final
    assert only(findings(None, [pod(unschedulable(TOO_FEW), name="q")], coming)).final


@pytest.mark.parametrize(
    ("message", "what"),
    [(QUOTA, "the namespace's quota is used up"), (PROFILE, "the namespace's security profile refuses the pod")],
)
def test_pod_that_cannot_be_made(message: str, what: str) -> None:
    """
    A pod that is not even made is found in the events of what should make it.
    """
    finding = only(findings(None, [], [event("FailedCreate", message, kind="ReplicaSet", name="r")]))
    assert (finding.about, finding.what) == ("ReplicaSet r", f"{what}: {message}")


def test_pod_that_could_be_made_in_the_end() -> None:
    """
    What failed before it succeeded is no cause any more; what failed many times is one.
    """
    failed = event("FailedCreate", QUOTA, kind="ReplicaSet", name="r")
    made = event("SuccessfulCreate", "Created pod: p", kind="ReplicaSet", name="r", of_type="Normal")
    assert findings(None, [], [failed, made]) == []
    assert only(findings(None, [], [made, failed, failed])).about == "ReplicaSet r"


def test_service_says_it() -> None:
    """
    An image that Knative cannot resolve, for which there is never a pod, is found in the service's conditions.
    """
    condition = {"type": "PredictorReady", "status": "False", "reason": "RevisionFailed", "message": UNFETCHED}
    finding = only(findings(service(condition), [], []))
    assert finding.what == f"the image cannot be pulled: PredictorReady: {UNFETCHED}"
    assert finding.final


def test_pods_say_it_better() -> None:
    """
    What follows from a cause is not said beside it.
    """
    condition = {"type": "PredictorReady", "status": "False", "message": "Initial scale was never achieved"}
    state, last = CRASHED
    found = findings(service(condition, condition), [pod(container(state, last=last))], [])
    assert [finding.about for finding in found] == ["Pod p"]


@pytest.mark.parametrize(
    "healthy",
    [
        pod(container({"running": {}}, ready=True)),
        pod(container({"waiting": {"reason": "ContainerCreating"}})),
        pod(container({"waiting": {"reason": "ImagePullBackOff"}}), deletionTimestamp="2026-11-21T18:00:00Z"),
        pod({"phase": "Pending"}),
    ],
)
def test_nothing_wrong(healthy: Object) -> None:
    """
    A pod that is ready, on its way, or on its way out is no cause.
    """
    ready = [{"type": "Ready", "status": "True"}, {"type": "Stopped", "status": "False", "message": "no"}]
    assert findings(service(*ready), [healthy], [event("Pulling", "image", of_type="Normal")]) == []


def test_not_ready_yet() -> None:
    """
    A container that runs and is not ready is worth waiting for, and its log may say why.
    """
    finding = only(findings(None, [pod(container({"running": {}}))], []))
    assert not finding.final
    assert finding.container
