"""
What is deployed, and how it is.
"""

from rich.console import Console
from rich.table import Table

from deployment import canary
from deployment.cluster import Cluster
from deployment.diagnosis import findings
from deployment.manifest import Object, name_of, service_of
from deployment.readiness import missing
from deployment.refusal import failure
from deployment.rollout import PART_OF
from deployment.workload import lack_of, workloads


def show(cluster: Cluster, objects: list[Object], console: Console) -> None:
    """
    Print the service, its revisions, its pods, and what is wrong with them.

    Raises:
        Failure: it is not there.
    """
    service = service_of(objects)
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    live = cluster.read(service)
    if live is None:
        raise failure(f"InferenceService {name} is not in namespace {namespace}", "scripts/deploy OVERLAY makes it")
    status = live.get("status", {})
    console.print(f"InferenceService {name}: {missing(live) or 'ready'}", highlight=False)
    for made, containers in workloads([live]):
        console.print(f"{name_of(made)}: {lack_of(cluster.read(made), containers) or 'ready'}", highlight=False)
    console.print(f"address: {status.get('url', 'none yet')}", highlight=False, soft_wrap=True)
    if status.get("deploymentMode") == "Knative":
        shares = ", ".join(f"{revision} {share} %" for revision, share in canary.shares(live).items())
        console.print(f"predictor's requests: {shares or 'none yet'}", highlight=False, soft_wrap=True)
    pods = cluster.items("Pod", namespace, PART_OF)
    console.print(_pods(pods))
    for cause in findings(live, pods, events=[]):
        console.print(str(cause), style="red", markup=False, highlight=False, soft_wrap=True)


def _pods(pods: list[Object]) -> Table:
    table = Table("pod", "ready", "restarts", "images", box=None, pad_edge=False)
    for pod in pods:
        containers = pod["status"].get("containerStatuses", [])
        ready = sum(each["ready"] for each in containers)
        images = "\n".join(each["image"] for each in pod["spec"]["containers"])
        restarts = sum(each["restartCount"] for each in containers)
        table.add_row(pod["metadata"]["name"], f"{ready}/{len(pod['spec']['containers'])}", str(restarts), images)
    return table
