"""
What stands in for KServe's and Kubernetes' controllers at a real API server.

It gives objects the status, and the pods, that the controllers would. Of what these do it proves nothing.
"""

import threading
from typing import Any, Self

import httpx

NAMESPACE = "/api/v1/namespaces/sentiment"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/sentiment/inferenceservices"
DEPLOYMENTS = "/apis/apps/v1/namespaces/sentiment/deployments"
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
            for deployment in self._http.get(DEPLOYMENTS).json()["items"]:
                self._deployment(deployment)
            for service in self._http.get(SERVICES).json()["items"]:
                self._service(service)

    def _deployment(self, live: Object) -> None:
        replicas = live["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
        status = {"observedGeneration": live["metadata"]["generation"], **counts}
        self._status(f"{DEPLOYMENTS}/{live['metadata']['name']}", status)

    def _service(self, live: Object) -> None:
        """
        A revision for each change of the predictor; its share as canaryTrafficPercent says.
        """
        predictor = {key: value for key, value in live["spec"]["predictor"].items() if key != "canaryTrafficPercent"}
        if predictor not in self._templates[-1:]:
            self._templates.append(predictor)
        number = len(self._templates)
        newest, before = f"sentiment-predictor-{number:05}", f"sentiment-predictor-{number - 1:05}"
        share = live["spec"]["predictor"].get("canaryTrafficPercent", 100)
        works = not predictor["containers"][0]["image"].endswith(ABSENT)
        for component, spec in live["spec"].items():
            self._pod(component, spec, works=works or component == "transformer", live=live)
        ready = {"status": "True" if works else "False", "reason": "" if works else "RevisionFailed"}
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
        status = {
            "deploymentMode": "Knative",
            "url": "http://sentiment-transformer.sentiment.example.com",
            "conditions": [
                {"type": "PredictorReady", **ready},
                {"type": "TransformerReady", "status": "True"},
                {"type": "Ready", **ready},
            ],
            "components": {"predictor": components},
        }
        self._status(f"{SERVICES}/{live['metadata']['name']}", status)

    def _pod(self, component: str, spec: Object, *, works: bool, live: Object) -> None:
        containers = spec["containers"]
        name = f"sentiment-{component}-{abs(hash(str(containers))) % 100000}"
        pod = {
            "metadata": {
                "name": name,
                "labels": {**live["metadata"]["labels"], **spec["labels"]},
                "ownerReferences": [
                    {
                        "apiVersion": live["apiVersion"],
                        "kind": live["kind"],
                        "name": live["metadata"]["name"],
                        "uid": live["metadata"]["uid"],
                    }
                ],
            },
            "spec": {"nodeName": "here", "containers": containers},
        }
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
