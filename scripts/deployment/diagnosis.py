"""
Why something is not ready, read off the conditions of the service, its pods and their events.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deployment.manifest import Object


@dataclass(frozen=True)
class Finding:
    """
    One cause.

    Attributes:
        about: the object that has it.
        what: the cause, in one line.
        step: what to do about it.
        final: whether waiting alone does not help.
        container: whose log may tell more.
    """

    about: str
    what: str
    step: str
    final: bool = True
    container: str | None = None

    def __str__(self) -> str:
        return f"{self.about}: {self.what}\n  next: {self.step}"


_PULL = (
    "the image cannot be pulled",
    "push it (scripts/build --push), correct `images` in the overlay, or add the component image-pull-secret",
)
_ROOM = ("no node has enough {}", "add a node, or lower requests or minReplicas in the overlay")
_PLACE = ("no node takes it", "compare what the overlay asks of a node with `kubectl describe nodes`")
_CONFIG = ("its configuration names what is not there", "make it: manifests/README.md has the command for the Secret")
_CRASH = ("it ends again and again", "its last lines below say why; a wrong setting is one line of the log")
_MEMORY = ("it needs more memory than its limit", "raise limits.memory in the overlay, or lower MAX_QUEUE_TOKENS")
_QUOTA = ("the namespace's quota is used up", "ask for a larger one, or lower requests in the overlay")
_PROFILE = ("the namespace's security profile refuses the pod", "change in the overlay what it names")
_UNREADY = ("it runs and is not ready", "its last lines below may say why; the predictor takes 3 s, longer when cold")
_NO_POD = ("no pod could be made", "the message above is the cluster's")
_OTHER = ("not ready", "`kubectl describe inferenceservice` in its namespace shows all conditions")

_WAITING = {
    "ErrImagePull": _PULL,
    "ImagePullBackOff": _PULL,
    "ErrImageNeverPull": _PULL,
    "InvalidImageName": _PULL,
    "CreateContainerConfigError": _CONFIG,
    "CreateContainerError": _CONFIG,
    "CrashLoopBackOff": _CRASH,
    "RunContainerError": _CRASH,
}
_MESSAGES = (
    (r"exceeded quota", _QUOTA),
    (r"violates PodSecurity", _PROFILE),
    (r"Unable to fetch image|failed to resolve image|ImagePullBackOff|ErrImagePull", _PULL),
    (r"Insufficient (cpu|memory)", _ROOM),
)
# An autoscaler of nodes has taken the matter up: Cluster Autoscaler, Karpenter.
_NODES_COME = {"TriggeredScaleUp", "Nominated"}


def findings(service: Object | None, pods: list[Object], events: list[Object]) -> list[Finding]:
    """
    The causes, those of pods first: what the service and its controllers say follows from them.

    Args:
        events: in the order in which they came.
    """
    found = [finding for pod in pods for finding in _of_pod(pod, events)]
    found += _of_events(events)
    return found or list(dict.fromkeys(_of_service(service)))


def _of_pod(pod: Object, events: list[Object]) -> Iterator[Finding]:
    name, status = f"Pod {pod['metadata']['name']}", pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return
    for condition in status.get("conditions", []):
        if condition.get("reason") == "Unschedulable":
            coming = any(_about(event) == name and event["reason"] in _NODES_COME for event in events)
            yield _finding(name, condition["message"], _PLACE, final=not coming)
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        yield from _of_container(name, container)


def _of_container(name: str, container: Object) -> Iterator[Finding]:
    waiting = container.get("state", {}).get("waiting", {})
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    what = f"{container['name']} ({container['image']})"
    if waiting.get("reason") in _WAITING and _WAITING[waiting["reason"]] is not _CRASH:
        yield _finding(name, f"{what}: {waiting.get('message', waiting['reason'])}", _WAITING[waiting["reason"]])
    elif ended.get("reason") == "OOMKilled":
        yield _finding(name, what, _MEMORY, container=container["name"])
    elif waiting.get("reason") in _WAITING:
        said = f"{what}: exit status {ended.get('exitCode')}: {_last_line(ended.get('message', ''))}"
        yield _finding(name, said, _CRASH, container=container["name"])
    elif "running" in container.get("state", {}) and not container.get("ready"):
        yield _finding(name, what, _UNREADY, final=False, container=container["name"])


def _of_events(events: list[Object]) -> Iterator[Finding]:
    last = {_about(event): event for event in events}
    for about, event in last.items():
        if event["reason"] == "FailedCreate":
            yield _finding(about, event["message"], _NO_POD)


def _of_service(service: Object | None) -> Iterator[Finding]:
    for condition in (service or {}).get("status", {}).get("conditions", []):
        if condition["status"] == "False" and condition.get("message") and condition["type"] != "Stopped":
            said = f"{condition['type']}: {condition['message']}"
            # a Deployment whose pods are still pulling says so too
            final = condition.get("reason") != "MinimumReplicasUnavailable"
            yield _finding(f"InferenceService {(service or {})['metadata']['name']}", said, _OTHER, final=final)


def _finding(
    about: str, message: str, cause: tuple[str, str], *, final: bool = True, container: str | None = None
) -> Finding:
    """
    Put the cluster's message behind the cause that it speaks of, or else behind the one that its place gives it.
    """
    what, step = cause
    for pattern, known in _MESSAGES:
        if match := re.search(pattern, message):
            what, step = known[0].format(*match.groups()), known[1]
            break
    return Finding(about, f"{what}: {_one_line(message)}", step, final, container)


def _about(event: Object) -> str:
    return f"{event['involvedObject']['kind']} {event['involvedObject']['name']}"


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "see its log")


def _one_line(text: str) -> str:
    return " ".join(text.split())
