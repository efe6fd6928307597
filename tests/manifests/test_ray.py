"""
The Ray cluster beside the predictor (components/ray), and the job that scores a corpus (score).
"""

import shlex
from pathlib import Path

import pytest

import score
from predictor.replicas.plan import Plan
from predictor.settings import PredictorSettings

from .pods import Container, Pod, pods_of, pods_of_ray
from .reach import Peer, lets, may_reach, peer
from .rendered import MANIFESTS, Form
from .strict import faults
from .test_pods import VERSION, check_hardened, environment, quantity

RAY = [Form("base", ("ray",)), Form("base", ("standard", "ray"))]
JOB = Form("score")
STRANGERS = [Peer("default"), Peer("istio-system"), Peer("knative-serving"), Peer(address="8.8.8.8")]
OPERATOR = Peer("kuberay-operator")
INNER = (6379, 6380, 10001, 40000)


@pytest.fixture(params=RAY, ids=str)
def form(request: pytest.FixtureRequest) -> Form:
    """
    Each form with a Ray cluster in turn.
    """
    form: Form = request.param
    return form


def plan_of(form: Form) -> Plan:
    """
    What the predictor is told of its replicas.
    """
    [container] = [one for pod in pods_of(form) for one in pod.containers if one.service == "predictor"]
    plan = PredictorSettings(predictor_replicas=environment(container)["PREDICTOR_REPLICAS"]).predictor_replicas
    assert plan
    return plan


def ray_pods(form: Form) -> list[Pod]:
    """
    The pods of a form's Ray cluster, one of each sort.
    """
    return [pod for pod in pods_of(form) if is_ray(pod)]


def is_ray(pod: Pod) -> bool:
    """
    Whether Ray runs in a pod.
    """
    return [one.service for one in pod.containers] == ["ray"]


def test_replicas_have_cores(form: Form) -> None:
    """
    There is a core for each replica, whole and its own, on workers and not beside the head.
    """
    [cluster] = form.of("RayCluster")
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    cores = 0
    for group in cluster["spec"]["workerGroupSpecs"]:
        [container] = group["template"]["spec"]["containers"]
        own = int(group["rayStartParams"]["num-cpus"])
        assert quantity(container["resources"]["requests"]["cpu"]) == own
        cores += own * group["replicas"]
    assert cores == plan_of(form).count


def test_address(form: Form) -> None:
    """
    The predictor asks for its replicas where KubeRay's Service in front of the head is, on the port of Ray's clients.
    """
    [cluster] = form.of("RayCluster")
    assert plan_of(form).address == f"ray://{cluster['metadata']['name']}-head-svc:10001"


def test_one_image(form: Form) -> None:
    """
    Both ends of Ray are the predictor's image: Python, Ray and the code must be the same.
    """
    images = {one.spec["image"] for pod in pods_of(form) for one in pod.containers if "predictor" in one.spec["image"]}
    assert len(images) == 1
    assert len(ray_pods(form)) == 2


def test_token(form: Form) -> None:
    """
    Ray asks for a token, which the predictor has from the Secret that KubeRay makes, under the cluster's name.
    """
    [cluster] = form.of("RayCluster")
    [predictor] = [one for pod in pods_of(form) for one in pod.containers if one.service == "predictor"]
    env = {each["name"]: each for each in predictor.spec["env"]}
    assert env["RAY_AUTH_MODE"]["value"] == cluster["spec"]["authOptions"]["mode"] == "token"
    reference = env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": cluster["metadata"]["name"], "key": "auth_token"}


def test_reach(form: Form) -> None:
    """
    Ray's pods reach each other on any port; the predictor alone comes from outside, as a client; nobody reaches out.
    """
    pods = ray_pods(form)
    for pod in pods:
        assert all(may_reach(form, peer(other), peer(pod), port) for other in pods for port in INNER)
        others = [peer(other) for other in pods_of(form) if not is_ray(other)]
        reached = [(other, port) for other in (*others, *STRANGERS) for port in INNER]
        reached = [(other, port) for other, port in reached if may_reach(form, other, peer(pod), port)]
        [predictor] = [other for other in pods_of(form) if other.name == "predictor"]
        assert reached == [(peer(predictor), 10001)]
        assert not any(may_reach(form, peer(pod), other, port) for other in (*STRANGERS, *others) for port in (80, 443))


def job_pods() -> list[Pod]:
    """
    The pods of the job's cluster, one of each sort.
    """
    [job] = JOB.of("RayJob")
    return list(pods_of_ray(job["metadata"]["name"], job["spec"]["rayClusterSpec"]))


def test_job_is_valid() -> None:
    """
    Every object of the job is valid and has no field that is none.
    """
    assert [fault for thing in JOB.objects for fault in faults(thing)] == []


def test_job_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The job runs `scripts/score` with options that it has, on the cluster that is made for it.
    """
    [job] = JOB.of("RayJob")
    python, script, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (python, Path(script).name) == ("python", "score.py")
    assert (MANIFESTS.parent / Path(script).relative_to("/app")).is_file()
    monkeypatch.setattr("sys.argv", ["score.py", *arguments])
    assert score.parse_options().ray == "auto"


def test_job_pods_are_hardened() -> None:
    """
    The job's pods are as hardened as those of the service, and have an account of their own without a token.
    """
    [account] = JOB.of("ServiceAccount")
    for pod in job_pods():
        check_hardened(pod)
        assert pod.spec["serviceAccountName"] == account["metadata"]["name"]
        assert pod.spec["automountServiceAccountToken"] is account["automountServiceAccountToken"] is False
        assert [one.spec["image"] for one in pod.containers] == [f"registry.example.com/sentiment-score:{VERSION}"]


def test_job_reach() -> None:
    """
    The job's pods reach each other and object stores, the operator reaches the head's jobs, and nobody else anything.
    """
    policies = JOB.of("NetworkPolicy")
    pods = [peer(pod) for pod in job_pods()]
    for pod in pods:
        assert all(lets(policies, other, pod, port) for other in pods for port in INNER)
        assert [port for port in (*INNER, 8265) if lets(policies, OPERATOR, pod, port)] == [8265]
        assert lets(policies, pod, Peer(address="52.216.0.1"), 443)
        assert not lets(policies, pod, Peer(address="52.216.0.1"), 80)
        assert not any(lets(policies, other, pod, port) for other in STRANGERS for port in (*INNER, 8265))


def test_ports_are_probed() -> None:
    """
    Every probe of Ray asks a port that Ray has there.
    """
    containers: list[Container] = [one for pod in (*ray_pods(RAY[0]), *job_pods()) for one in pod.containers]
    for container in containers:
        assert {probe["tcpSocket"]["port"] for probe in container.probes.values()} <= container.ports
