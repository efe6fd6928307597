"""
Facts of KServe 0.21 and Knative 1.23 that no schema knows: their webhooks' rules and their controllers' habits.
"""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from transformer import metrics as transformer_metrics

from .pods import pods_of
from .rendered import MANIFESTS, Form, Object, kustomize
from .strict import faults
from .test_pods import services_of

# What Knative's feature gates refuse unless an administrator opens them (`features.yaml`), or its API always.
REFUSED_IN_POD = {
    "securityContext",
    "nodeSelector",
    "affinity",
    "topologySpreadConstraints",
    "tolerations",
    "initContainers",
    "hostAliases",
    "runtimeClassName",
    "priorityClassName",
    "schedulerName",
    "dnsPolicy",
    "dnsConfig",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "deploymentStrategy",
}
# What KServe keeps to itself of a component's spec.
KSERVES_OWN = {
    "annotations",
    "canaryTrafficPercent",
    "containerConcurrency",
    "labels",
    "maxReplicas",
    "minReplicas",
    "model",
    "scaleMetric",
    "scaleTarget",
    "timeout",
}
REFUSED_IN_CONTAINER = {"lifecycle", "stdin", "stdinOnce", "tty", "volumeDevices"}


def components_of(form: Form) -> dict[str, Object]:
    """
    Predictor and, unless it shares the pod, transformer.
    """
    components: dict[str, Object] = form.service["spec"]
    return components


def declared_containers(form: Form) -> list[Object]:
    """
    The containers that KServe hands to Knative, of the InferenceService or of the runtime.
    """
    specs = [*form.service["spec"].values(), *(runtime["spec"] for runtime in form.of("ServingRuntime"))]
    return [container for spec in specs for container in spec.get("containers", [])]


def test_deployment_mode_is_said(form: Form) -> None:
    """
    The deployment mode is set always: the defaults that KServe ships disagree with each other.
    """
    assert form.mode in {"Knative", "Standard"}


def test_one_worker(form: Form) -> None:
    """
    The transformer gets `--workers=1`: KServe would add `--workers=<containerConcurrency>`, and answer 501 (#1).
    """
    for container in services_of(form):
        assert container.service != "transformer" or "--workers=1" in container.spec["args"]


def test_model_name(form: Form) -> None:
    """
    Predictor and transformer serve the model under the InferenceService's name; a predictor is given no name by KServe.
    """
    for container in services_of(form):
        assert container.flags["--model_name"] == form.service["metadata"]["name"]


def test_container_names(form: Form) -> None:
    """
    The first container is `kserve-container`, and beside it there is at most `transformer-container`.
    """
    for pod in pods_of(form):
        names = [container.spec["name"] for container in pod.containers]
        ray = (["ray-head"], ["ray-worker"])  # not KServe's
        assert names in (["redis"], ["kserve-container"], ["kserve-container", "transformer-container"], *ray)


def test_no_python_path(form: Form) -> None:
    """
    No container sets PYTHONPATH, which KServe's webhook refuses.
    """
    assert "PYTHONPATH" not in [each["name"] for container in services_of(form) for each in container.spec["env"]]


def test_one_port_in_knative(form: Form) -> None:
    """
    In Knative a pod declares exactly one port, named http1 or h2c.
    """
    if form.mode == "Knative":
        counts = [len(container.get("ports", [])) for container in declared_containers(form)]
        assert sum(counts) == len(components_of(form))
        names = {port["name"] for container in declared_containers(form) for port in container.get("ports", [])}
        assert names <= {"http1", "h2c"}


def test_ports_in_standard(form: Form) -> None:
    """
    In Standard the first port is REST's, to which KServe's Service gives the number 80, and `grpc` names HTTP/2.
    """
    if form.mode == "Standard":
        for container in (container for container in declared_containers(form) if "ports" in container):
            assert container["ports"] == [
                {"name": "http1", "containerPort": 8080},
                {"name": "grpc", "containerPort": 8081},
            ]


def test_nothing_that_knative_refuses(form: Form) -> None:
    """
    The Knative forms have no field that Knative refuses, by its gates' defaults or always.
    """
    if form.mode == "Knative":
        for component in components_of(form).values():
            assert REFUSED_IN_POD.isdisjoint(component)
            assert component.get("automountServiceAccountToken") is not True
            assert all("emptyDir" in volume for volume in component.get("volumes", []))  # unlike claims and host paths
        for container in declared_containers(form):
            assert REFUSED_IN_CONTAINER.isdisjoint(container)
            assert all("fieldRef" not in each.get("valueFrom", {}) for each in container["env"])


def test_probes_in_knative(form: Form) -> None:
    """
    In Knative only the container with the port is probed, and for its life on that port.

    Knative rewrites an HTTP liveness probe of another port to it (`rewriteUserLivenessProbe`).
    """
    if form.mode == "Knative":
        for container in declared_containers(form):
            probes = {name for name in container if name.endswith("Probe")}
            assert bool(probes) == bool(container.get("ports"))
            for probe in (container[name] for name in probes & {"livenessProbe"}):
                port = probe.get("httpGet", probe.get("grpc"))["port"]
                assert port == container["ports"][0]["containerPort"]


def test_readiness_is_the_models(form: Form) -> None:
    """
    Start and readiness are the model's own, `/v2/models/<name>/ready`; KServe's default would be a TCP check.
    """
    for container in services_of(form):
        for name in {"startupProbe", "readinessProbe"} & set(container.probes):
            path = f"/v2/models/{form.service['metadata']['name']}/ready"
            assert container.probes[name]["httpGet"]["path"] == path


def test_start_in_time(form: Form) -> None:
    """
    A container that starts as slowly as its probe allows is ready before Knative gives its revision up.

    Also one that may go to zero must have been ready once, within `progressDeadline`, 10 minutes.
    """
    for container in services_of(form):
        for probe in container.probes.values():
            assert probe["periodSeconds"] * probe["failureThreshold"] < 600


def test_no_agent(form: Form) -> None:
    """
    KServe's agent stays away: its batcher needs `instances` and works on one batch after the other.
    """
    assert {"batcher", "logger"}.isdisjoint({key for component in components_of(form).values() for key in component})


def test_services_are_patched_by_place() -> None:
    """
    What is no JSON6902 patch does not touch an InferenceService: a merge replaces the lists of a custom resource whole.
    """
    for file in (MANIFESTS / "components").glob("**/kustomization.yaml"):
        for each in yaml.safe_load(file.read_text()).get("patches", []):
            assert isinstance(yaml.safe_load(each["patch"]), list) or "InferenceService" not in each["target"]["kind"]


def test_knative_service(form: Form) -> None:
    """
    What KServe hands to Knative is a valid Knative Service, by Knative's own schema.
    """
    if form.mode == "Knative":
        for component in components_of(form).values():
            spec = {key: value for key, value in component.items() if key not in KSERVES_OWN}
            containers = [container for container in declared_containers(form) if "model" in component] or spec[
                "containers"
            ]
            limits = {name: component[name] for name in ("containerConcurrency",) if name in component}
            service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "sentiment"}}
            template = {**spec, **limits, "containers": containers, "timeoutSeconds": component["timeout"]}
            assert faults({**service, "spec": {"template": {"spec": template}}}) == []


def test_scaling_in_knative(form: Form) -> None:
    """
    In Knative scaling is by concurrency or requests, with a bound that Knative takes.
    """
    if form.mode == "Knative":
        for component in components_of(form).values():
            assert component["scaleMetric"] in {"concurrency", "rps"}
            assert 0 < component["scaleTarget"] <= component.get("containerConcurrency", 1000) <= 1000
            assert "autoScaling" not in component
            assert component["minReplicas"] <= component["maxReplicas"]


def test_to_zero(form: Form) -> None:
    """
    What answers hits never goes to zero; the predictor of the base does.
    """
    components = components_of(form)
    assert components.get("transformer", components["predictor"])["minReplicas"] >= 1
    assert components_of(Form("base"))["predictor"]["minReplicas"] == 0


def test_scale_annotations_are_fields(form: Form) -> None:
    """
    No annotation sets the scale, since KServe takes `min-scale` and `max-scale` away.
    """
    assert not re.search(r"autoscaling\.knative\.dev/(min|max)-?[sS]cale", str(form.objects))


def test_scaling_in_standard(form: Form) -> None:
    """
    In Standard the autoscaler is named, never goes to zero, and is given what its class takes and nothing else.
    """
    if form.mode == "Standard":
        autoscaler = form.service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"]
        for component in components_of(form).values():
            assert 1 <= component["minReplicas"] <= component["maxReplicas"]
            assert not {"containerConcurrency", "canaryTrafficPercent"} & set(component)
            if autoscaler == "hpa":
                assert component["scaleMetric"] == "cpu"
                assert 1 <= component["scaleTarget"] <= 100
                assert "autoScaling" not in component
            else:
                assert autoscaler == "keda"
                assert not {"scaleMetric", "scaleTarget"} & set(component)
                check_keda_metrics(component["autoScaling"]["metrics"], form.service["metadata"])


def check_keda_metrics(metrics: list[Object], metadata: Object) -> None:
    """
    The rules of KServe's `validateScalingKedaCompExtension`, and a metric that is there.
    """
    assert transformer_metrics  # which registers what may be asked for
    for metric in metrics:
        if metric["type"] == "Resource":
            assert metric["resource"]["target"]["type"] == "Utilization"
            assert 1 <= metric["resource"]["target"]["averageUtilization"] <= 100
        else:
            external = metric["external"]
            assert external["metric"]["backend"] == "prometheus"
            assert float(external["target"]["value"]) > 0
            query = external["metric"]["query"]
            [metric_name] = re.findall(r"rate\((\w+)\{", query)
            assert metric_name.removesuffix("_total") in [family.name for family in REGISTRY.collect()]
            assert f'namespace="{metadata["namespace"]}"' in query


def test_cluster_local_predictor(form: Form) -> None:
    """
    In Knative a predictor of its own has no public address.
    """
    components = components_of(form)
    if form.mode == "Knative" and "transformer" in components:
        assert components["predictor"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"
        assert "networking.knative.dev/visibility" not in components["transformer"]["labels"]
    else:
        assert "networking.knative.dev/visibility" not in str(form.objects)


def test_canary() -> None:
    """
    A canary gets 10 % of the predictor's requests, and only Knative splits them that way.
    """
    assert Form("base", ("canary",)).service["spec"]["predictor"]["canaryTrafficPercent"] == 10


@pytest.mark.parametrize(
    ("components", "why"),
    [
        (("standard", "canary"), "deploymentMode"),
        (("keda",), "deploymentMode"),
        (("older-paths",), "deploymentMode"),
        (("cpu-nodes",), "deploymentMode"),
        (("collocated", "cpu-nodes"), "deploymentMode"),
        (("standard", "collocated", "keda"), "/spec/transformer"),
        (("standard", "collocated", "local"), "/spec/transformer"),
        (("serving-runtime", "bf16"), "/spec/predictor/containers"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(components: tuple[str, ...], why: str) -> None:
    """
    A component in the wrong mode, or after the shape that it cannot change any more, is refused by kustomize.
    """
    result = kustomize(Form("base", components))
    assert result.returncode != 0
    assert why in result.stderr


@pytest.mark.parametrize("mode", [(), ("standard",)], ids=str)
def test_runtime_is_the_collocated_pod(mode: tuple[str, ...]) -> None:
    """
    A runtime's pod is the collocated one, for a service of whatever name.
    """
    runtime, collocated = (pods_of(Form("base", (*mode, shape)))[-1] for shape in ("serving-runtime", "collocated"))
    assert runtime.containers == collocated.containers
    assert runtime.labels == collocated.labels


def test_runtime_takes_any_name() -> None:
    """
    Nothing in a runtime's containers but the names of images and of the Secret names one model.
    """
    [runtime] = Form("base", ("standard", "serving-runtime")).of("ServingRuntime")
    assert [text for text in texts_of(runtime["spec"]["containers"]) if "sentiment" in text and "-" not in text] == []


def texts_of(node: Any) -> list[str]:
    """
    All texts in it.
    """
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node] if isinstance(node, str) else [text for child in children for text in texts_of(child)]
