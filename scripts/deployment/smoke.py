"""
One prediction through the deployed service, from this machine.

By port-forward to a pod of the transformer: it needs neither a name in DNS nor a way to the gateway, and what lies
behind is the whole path: cache, predictor (through Knative's gateway, which wakes it), and back.
"""

import http.client
import json
import time

from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward
from rich.console import Console

from deployment.cluster import Cluster
from deployment.manifest import Object
from deployment.refusal import failure

PORT = 8080
TEXT = "I love you."
# No answer of a cache: the whole path is asked.
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache"}
SELECTOR = "app.kubernetes.io/name=sentiment-transformer"
ANSWER_SECONDS = 30
PATIENCE_SECONDS = 60
"""For a predictor that starts from zero."""


def ask(cluster: Cluster, service: Object, console: Console) -> None:
    """
    Have one text answered.

    Raises:
        Failure: no answer, or one that is none.
    """
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            status, said = _post(cluster, _newest_pod(cluster, namespace), f"/v1/models/{name}:predict")
        except (ApiException, OSError, http.client.HTTPException) as error:
            status, said = 0, " ".join(str(getattr(error, "reason", None) or error).split())
        if status == http.client.OK:
            console.print(f"answered: {TEXT} {said}", markup=False, highlight=False, soft_wrap=True)
            return
        if "403 Forbidden" in said:
            console.print("ready; not asked anything: you lack the right to create pods/portforward", style="yellow")
            return
        if time.monotonic() > end:
            raise failure(
                f"ready, but a prediction fails: {status or 'no answer'}: {said}",
                f"kubectl -n {namespace} logs -l {SELECTOR} -c kserve-container",
            )
        time.sleep(1)


def _newest_pod(cluster: Cluster, namespace: str) -> Object:
    ready = [
        pod
        for pod in cluster.items("Pod", namespace, SELECTOR)
        if "deletionTimestamp" not in pod["metadata"]
        and all(each["ready"] for each in pod["status"].get("containerStatuses", [{"ready": False}]))
    ]
    if not ready:
        raise OSError("no pod of the transformer is ready")
    return max(ready, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _post(cluster: Cluster, pod: Object, path: str) -> tuple[int, str]:
    where = (pod["metadata"]["name"], pod["metadata"]["namespace"])
    forward = portforward(cluster.core.connect_get_namespaced_pod_portforward, *where, ports=str(PORT))
    connection = http.client.HTTPConnection("localhost")
    connection.sock = forward.socket(PORT)
    connection.sock.settimeout(ANSWER_SECONDS)
    try:
        connection.request("POST", path, json.dumps({"text": TEXT}), HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        connection.close()
