"""
What stands in for KServe's, Knative's and Kubernetes' controllers at a real API server.

It makes of an InferenceService what the controllers would, and gives objects the status, and the pods. Of what these do
it proves nothing. In one thing it is worse than they are, as they may be for a while: in Standard mode the service says
that it is ready as long as any pods are, be they those of before.
"""

import threading
from typing import Any, Self

import httpx

NAMESPACE = "/api/v1/namespaces/sentiment"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/sentiment/inferenceservices"
DEPLOYMENTS = "/apis/apps/v1/namespaces/sentiment/deployments"
KNATIVE = "/apis/serving.knative.dev/v1/namespaces/sentiment/services"
ABSENT = "absent"
"""A tag that no registry has."""

Object = dict[str, Any]


class Controllers:
    """
    They act on what they find every tenth of a second.
    """

    def __init__(self, http: httpx.Client, node: Object) -> None:
        self._http, self._node = http, node
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._templates: list[Object] = []

    def __enter__(self) -> Self:
        self._http.post("/api/v1/nodes", json={"metadata": {"name": "here"}})
        self._status("/api/v1/nodes/here", self._node)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            for deployment in self._items(DEPLOYMENTS):
                self._deployment(deployment)
            services = self._items(SERVICES)
            for service in services:
                self._service(service)
            self._collect({service["metadata"]["uid"] for service in services})

    def _items(self, path: str) -> list[Object]:
        items: list[Object] = self._http.get(path).json()["items"]
        return items

    def _collect(self, owners: set[str]) -> None:
        """
        Delete what was made of a service that is gone.
        """
        for path in (DEPLOYMENTS, KNATIVE, f"{NAMESPACE}/pods"):
            for thing in self._items(path):
                of = [owner["uid"] for owner in thing["metadata"].get("ownerReferences", [])]
                if of and not owners.intersection(of):
                    self._http.delete(f"{path}/{thing['metadata']['name']}", params={"gracePeriodSeconds": "0"})

    def _deployment(self, live: Object) -> None:
        """
        New pods that cannot start beside all of before.
        """
        replicas, status = live["spec"]["replicas"], {"observedGeneration": live["metadata"]["generation"]}
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
        if not _works(live["spec"]["template"]["spec"]):
            counts |= {"replicas": replicas + 1, "updatedReplicas": 1}
        self._status(f"{DEPLOYMENTS}/{live['metadata']['name']}", {**status, **counts})

    def _service(self, live: Object) -> None:
        mode = live["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        for component, spec in live["spec"].items():
            self._workload(mode, component, spec, live)
            self._pod(component, spec, live)
        status = self._of_revisions(live) if mode == "Knative" else {"conditions": _conditions(works=True)}
        url = "http://sentiment-transformer.sentiment.example.com"
        self._status(f"{SERVICES}/{live['metadata']['name']}", {"deploymentMode": mode, "url": url, **status})

    def _workload(self, mode: str, component: str, spec: Object, live: Object) -> None:
        """
        A Deployment or Knative Service, made or brought up to date.
        """
        name = f"{live['metadata']['name']}-{component}"
        template: Object = {"spec": {"containers": spec["containers"]}}
        path, body = (
            KNATIVE,
            {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"template": template}},
        )
        if mode == "Standard":
            labels = {"app": name}
            template["metadata"] = {"labels": labels}
            spec = {"replicas": spec["minReplicas"], "selector": {"matchLabels": labels}, "template": template}
            path, body = DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
        body["metadata"] = {"name": name, "ownerReferences": _owned_by(live)}
        answer = self._http.patch(
            f"{path}/{name}",
            params={"fieldManager": "kserve", "force": "true"},
            headers={"content-type": "application/apply-patch+yaml"},
            json=body,
        )
        if mode == "Knative" and answer.is_success:
            newest = f"{name}-{answer.json()['metadata']['generation']:05}"
            works = _works(spec)
            status = {
                "observedGeneration": answer.json()["metadata"]["generation"],
                "latestCreatedRevisionName": newest,
                "latestReadyRevisionName": newest if works else "",
                "conditions": [{"type": "Ready", "status": "True" if works else "False"}],
            }
            self._status(f"{path}/{name}", status)

    def _of_revisions(self, live: Object) -> Object:
        """
        A revision for each change of the predictor; its share as canaryTrafficPercent says.
        """
        predictor = {key: value for key, value in live["spec"]["predictor"].items() if key != "canaryTrafficPercent"}
        if predictor not in self._templates[-1:]:
            self._templates.append(predictor)
        number = len(self._templates)
        newest, before = f"sentiment-predictor-{number:05}", f"sentiment-predictor-{number - 1:05}"
        share = live["spec"]["predictor"].get("canaryTrafficPercent", 100)
        works = _works(predictor)
        components = {
            "latestCreatedRevision": newest,
            "latestReadyRevision": newest if works else before,
            "latestRolledoutRevision": newest if share == 100 else before,
            "previousRolledoutRevision": before if share == 100 else "",
            "traffic": [
                {"revisionName": newest, "latestRevision": True, "percent": share},
                {"revisionName": before, "latestRevision": False, "percent": 100 - share},
            ],
        }
        return {"conditions": _conditions(works=works), "components": {"predictor": components}}

    def _pod(self, component: str, spec: Object, live: Object) -> None:
        containers, works = spec["containers"], _works(spec)
        name = f"sentiment-{component}-{abs(hash(str(containers))) % 100000}"
        labels = {**live["metadata"]["labels"], **spec["labels"]}
        metadata = {"name": name, "labels": labels, "ownerReferences": _owned_by(live)}
        pod = {"metadata": metadata, "spec": {"nodeName": "here", "containers": containers}}
        answer = self._http.post(f"{NAMESPACE}/pods", json=pod)
        if answer.status_code == httpx.codes.CREATED:
            self._event(answer.json(), "Normal" if works else "Warning", "Pulling" if works else "Failed")
        waiting = {
            "reason": "ImagePullBackOff",
            "message": f"Back-off pulling image: {containers[0]['image']}: not found",
        }
        state = {"running": {}} if works else {"waiting": waiting}
        container = {"name": "kserve-container", "image": containers[0]["image"], "imageID": "", "restartCount": 0}
        self._status(f"{NAMESPACE}/pods/{name}", {"containerStatuses": [{**container, "ready": works, "state": state}]})

    def _event(self, pod: Object, kind: str, reason: str) -> None:
        about = {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": "sentiment"}
        event = {"metadata": {"generateName": "of-a-pod-"}, "involvedObject": about, "type": kind, "reason": reason}
        self._http.post(f"{NAMESPACE}/events", json={**event, "message": pod["spec"]["containers"][0]["image"]})

    def _status(self, path: str, status: Object) -> None:
        headers = {"content-type": "application/merge-patch+json"}
        self._http.patch(f"{path}/status", json={"status": status}, headers=headers)


def _works(spec: Object) -> bool:
    return not any(container["image"].endswith(ABSENT) for container in spec["containers"])


def _conditions(*, works: bool) -> list[Object]:
    ready = {"status": "True" if works else "False", "reason": "" if works else "RevisionFailed"}
    return [
        {"type": "PredictorReady", **ready},
        {"type": "TransformerReady", "status": "True"},
        {"type": "Ready", **ready},
    ]


def _owned_by(live: Object) -> list[Object]:
    metadata = live["metadata"]
    owner = {"apiVersion": live["apiVersion"], "kind": live["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return [owner]
