import re

import pytest
import yaml

from .pods import Pod, pods_of
from .reach import Peer, may_reach, peer, selects
from .rendered import Form, Object, kustomize
from .test_pods import paths_of

# KServe's own names are made of ours: `<name>-transformer-<namespace>` is the longest, one label of a host name.
LONGEST_NAME = 63


def http_ports(pod: Pod) -> set[int]:
    """
    The ports of a pod's services that speak HTTP, and have their metrics there.
    """
    return {min(container.ports) for container in pod.containers if container.service not in ("redis", "ray")}


def test_selectors(form: Form) -> None:
    """
    Every selector selects a pod.
    """
    selectors = [(each, {"matchLabels": each["spec"]["selector"]}) for each in form.of("Service")]
    selectors += [(each, each["spec"]["podSelector"]) for each in form.of("NetworkPolicy")]
    for kind in ("Deployment", "PodDisruptionBudget", "PodMonitor"):
        selectors += [(each, each["spec"]["selector"]) for each in form.of(kind)]
    pods = pods_of(form)
    assert [each for each, selector in selectors if not any(selects(selector, pod.labels) for pod in pods)] == []


def test_service_ports(form: Form) -> None:
    """
    Every port of a Service is a port of the pods behind it.
    """
    for service in form.of("Service"):
        for pod in pods_of(form):
            if selects({"matchLabels": service["spec"]["selector"]}, pod.labels):
                assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(pod.port_names)


def test_declared_ports(form: Form) -> None:
    """
    Every port that a container declares is one that it listens on.
    """
    for pod in pods_of(form):
        for container in pod.containers:
            assert {port["containerPort"] for port in container.spec.get("ports", [])} <= container.ports


def test_no_port_twice(form: Form) -> None:
    """
    No two containers of a pod listen on the same port.
    """
    for pod in pods_of(form):
        assert sum(len(container.ports) for container in pod.containers) == len(pod.ports)


def test_hop(form: Form) -> None:
    """
    The transformer looks for the predictor where it is, with the protocol that is spoken there.
    """
    hosts = {pod.host: pod for pod in pods_of(form)}
    for pod in pods_of(form):
        for container in pod.containers:
            if container.service == "transformer":
                host, _, port = container.flags["--predictor_host"].partition(":")
                target = pod if host == "localhost" else hosts[host.removesuffix(".sentiment")]
                [predictor] = [each for each in target.containers if each.service == "predictor"]
                # without a port it is 80, behind which KServe and Knative put the first port that is declared
                there = int(port) if port else predictor.spec["ports"][0]["containerPort"]
                grpc = container.flags.get("--predictor_protocol") == "grpc-v2"
                assert there == (max if grpc else min)(predictor.ports)


def test_monitors(form: Form) -> None:
    """
    Prometheus finds the metrics of each service once, and is let through to them; or there are no monitors at all.
    """
    monitors = form.of("PodMonitor")
    for pod in pods_of(form):
        targets = [target for monitor in monitors for target in targets_of(monitor, pod)]
        assert sorted(targets) == (sorted(http_ports(pod)) if monitors else [])
        assert all(may_reach(form, Peer("monitoring"), peer(pod), port) for port in targets)


def targets_of(monitor: Object, pod: Pod) -> list[int]:
    """
    The ports of a pod that a monitor scrapes.
    """
    ports = []
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        if selects(monitor["spec"]["selector"], pod.labels) and endpoint["port"] in pod.port_names:
            address = f"10.0.0.1:{pod.port_names[endpoint['port']]}"
            for relabeling in endpoint.get("relabelings", []):
                if relabeling["targetLabel"] == "__address__":
                    template = relabeling["replacement"].replace("$1", r"\1")
                    address = re.sub(f"^{relabeling['regex']}$", template, address)
            ports.append(int(address.rpartition(":")[2]))
    return ports


def test_budgets(form: Form) -> None:
    """
    A drained node takes one replica of a service at a time, and no budget holds a node up for ever.
    """
    budgets = form.of("PodDisruptionBudget")
    for pod in pods_of(form):
        of_pod = [budget["spec"] for budget in budgets if selects(budget["spec"]["selector"], pod.labels)]
        # Kubernetes counts a budget's pods by their controller's scale, which a RayCluster does not have
        without = pod.host == "sentiment-redis" or pod.name.startswith("ray-")
        assert [budget["maxUnavailable"] for budget in of_pod] == ([] if without else [1])


def test_routes(form: Form) -> None:
    """
    A route leads to the transformer's Service, on the port that KServe gives it, and only to paths that it answers.
    """
    for route in form.of("HTTPRoute"):
        [rule] = route["spec"]["rules"]
        [backend] = rule["backendRefs"]
        [pod] = [pod for pod in pods_of(form) if pod.host == backend["name"]]
        assert "transformer" in [container.service for container in pod.containers]
        assert backend["port"] == 80
        for path in (match["path"] for match in rule["matches"]):
            assert any(
                known == path["value"] or known.startswith(f"{path['value']}/") for known in paths_of("transformer")
            )


def test_names(form: Form) -> None:
    """
    Every name, and every name that KServe makes of it, fits into a label of DNS.
    """
    for thing in form.objects:
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", thing["metadata"]["name"])
        assert len(f"{thing['metadata']['name']}-transformer-sentiment") <= LONGEST_NAME


def test_namespace(form: Form) -> None:
    """
    Everything is in one namespace, which is made with it.
    """
    [namespace] = form.of("Namespace")
    others = [thing["metadata"] for thing in form.objects if thing is not namespace]
    assert {metadata["namespace"] for metadata in others} == {namespace["metadata"]["name"]}


@pytest.mark.parametrize("components", [("older-paths",), ("serving-runtime",)], ids=str)
def test_other_namespace(components: tuple[str, ...]) -> None:
    """
    `namespace:` in an overlay moves everything.
    """
    result = kustomize(Form("base", ("standard", *components)), namespace="other")
    metadata = [(thing["kind"], thing["metadata"]) for thing in yaml.safe_load_all(result.stdout)]
    assert {each["name"] if kind == "Namespace" else each["namespace"] for kind, each in metadata} == {"other"}
