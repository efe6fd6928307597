"""
The pods that the controllers make of a form.

KServe and Knative are not at hand in a test, so what they do to a pod is told here, from their sources (kserve 0.21,
`transformer_custom.go`, `predictor.go`, `service_reconciler.go`; Knative 1.23, `deploy.go`).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .rendered import Form, Object

DEFAULT_PORTS = {"predictor": (8090, 8091), "transformer": (8080, 8081)}


@dataclass(frozen=True)
class Container:
    """
    A container as it runs.

    Attributes:
        spec: of Kubernetes, its arguments completed by KServe.
        has_probes: whether Kubernetes or Knative would run some.
    """

    spec: Object
    has_probes: bool

    @property
    def service(self) -> str:
        """
        What runs in it: predictor, transformer, redis, or ray, in the predictor's image.
        """
        if self.spec["name"].startswith("ray-"):
            return "ray"
        return re.sub(r"^(.*/)?(sentiment-)?", "", self.spec["image"]).partition(":")[0]

    @property
    def flags(self) -> dict[str, str]:
        """
        Its arguments by name, of those that have one.
        """
        words = " ".join(self.spec["args"]).replace("=", " ")
        return dict(re.findall(r"(--\w+) (\S+)", words))

    @property
    def ports(self) -> set[int]:
        """
        The ports that it listens on, declared or not.
        """
        if self.service == "redis":
            return {6379}
        if self.service == "ray":
            return {port["containerPort"] for port in self.spec["ports"]}
        http, grpc = DEFAULT_PORTS[self.service]
        return {int(self.flags.get("--http_port", http)), int(self.flags.get("--grpc_port", grpc))}

    @property
    def probes(self) -> dict[str, Object]:
        """
        Its probes by name.
        """
        names = ("startupProbe", "readinessProbe", "livenessProbe")
        return {name: self.spec[name] for name in names if name in self.spec}


@dataclass(frozen=True)
class Pod:
    """
    A pod as it runs.

    Attributes:
        spec: of Kubernetes, or of the InferenceService's component.
        labels: its own, without those of the controllers.
        host: the Service in front of it.
    """

    name: str
    labels: dict[str, str]
    spec: Object
    containers: list[Container]
    host: str

    @property
    def port_names(self) -> dict[str, int]:
        """
        The declared ports.
        """
        return {port["name"]: port["containerPort"] for one in self.containers for port in one.spec.get("ports", [])}

    @property
    def ports(self) -> set[int]:
        """
        The ports that its containers listen on.
        """
        return {port for container in self.containers for port in container.ports}


def pods_of(form: Form) -> list[Pod]:
    """
    The pods of a form, one of each sort.
    """
    of_ray = [pods_of_ray(each["metadata"]["name"], each["spec"]) for each in form.of("RayCluster")]
    return [*_of_deployments(form), *_of_service(form), *(pod for pods in of_ray for pod in pods)]


def containers_of(form: Form) -> list[Container]:
    """
    The containers of all pods of a form.
    """
    return [container for pod in pods_of(form) for container in pod.containers]


def _of_deployments(form: Form) -> Iterator[Pod]:
    for deployment in form.of("Deployment"):
        name, template = deployment["metadata"]["name"], deployment["spec"]["template"]
        containers = [Container(spec, has_probes=True) for spec in template["spec"]["containers"]]
        yield Pod(name, template["metadata"]["labels"], template["spec"], containers, host=name)


def pods_of_ray(name: str, cluster: Object) -> Iterator[Pod]:
    """
    The pods that KubeRay makes of a RayCluster's spec, the head's and one of each group's (KubeRay 1.7, `pod.go`).
    """
    for kind, group in (
        ("head", cluster["headGroupSpec"]),
        *(("worker", each) for each in cluster["workerGroupSpecs"]),
    ):
        template = group["template"]
        labels = {"ray.io/node-type": kind, "ray.io/is-ray-node": "yes", **template["metadata"]["labels"]}
        containers = [Container(spec, has_probes=True) for spec in template["spec"]["containers"]]
        yield Pod(f"ray-{kind}", labels, template["spec"], containers, host=f"{name}-{kind}")


def _of_service(form: Form) -> Iterator[Pod]:
    metadata = form.service["metadata"]
    for component, spec in form.service["spec"].items():
        runtime = _runtime(form, metadata["name"]) if "model" in spec else {"containers": spec["containers"]}
        labels = {**runtime.get("labels", {}), **metadata["labels"], **spec["labels"]}
        containers = [
            Container(_completed(each, component, metadata), has_probes=form.mode == "Standard" or "ports" in each)
            for each in runtime["containers"]
        ]
        host = f"{metadata['name']}-{component}"
        yield Pod(component, labels, spec, [_as_knative_runs(each, form) for each in containers], host)


def _runtime(form: Form, name: str) -> Any:
    [runtime] = form.of("ServingRuntime")
    return json.loads(json.dumps(runtime["spec"]).replace("{{.Name}}", name))


def _completed(spec: Object, component: str, metadata: Object) -> Object:
    if component != "transformer":
        return spec
    injected = {
        "--model_name": metadata["name"],
        "--predictor_host": f"{metadata['name']}-predictor.{metadata['namespace']}",
        "--http_port": "8080",
    }
    args = list(spec["args"])
    for flag, value in injected.items():
        if not any(arg.startswith(flag) for arg in args):
            args += [flag, value]
    return {**spec, "args": args}


def _as_knative_runs(container: Container, form: Form) -> Container:
    if form.mode != "Knative":
        return container
    ports = [{**port, "name": "user-port"} for port in container.spec.get("ports", [])]
    return Container({**container.spec, "ports": ports}, container.has_probes)
