from urllib.parse import urlsplit

import pytest

from .pods import Pod, pods_of
from .reach import Peer, may_reach, peer
from .rendered import Form

GATEWAYS = [Peer("istio-system"), Peer("kourier-system"), Peer("envoy-gateway-system"), Peer("kserve")]
KNATIVE = Peer("knative-serving")
PROMETHEUS = Peer("monitoring")
STRANGER = Peer("default")
DNS = (Peer("kube-system"), Peer(address="169.254.20.10"))
# Of Knative's queue-proxy: HTTP/1, HTTP/2, TLS, and what the autoscaler reads.
QUEUE_PROXY = (8012, 8013, 8112, 9090)


def pods_with(form: Form, service: str) -> list[Pod]:
    """
    The pods in which a service runs.
    """
    return [pod for pod in pods_of(form) if service in [container.service for container in pod.containers]]


def test_redis(form: Form) -> None:
    """
    Redis is reached by the transformer and by nobody else, and reaches nobody.
    """
    for redis in pods_with(form, "redis"):
        assert [pod.host for pod in pods_of(form) if may_reach(form, peer(pod), peer(redis), 6379)] == [
            pod.host for pod in pods_with(form, "transformer")
        ]
        for other in (*GATEWAYS, KNATIVE, PROMETHEUS, STRANGER):
            assert not may_reach(form, other, peer(redis), 6379)
            assert not may_reach(form, peer(redis), other, 443)


def test_external_redis(form: Form) -> None:
    """
    Where there is no Redis in the cluster, the transformer reaches a managed one at a private address; else not.
    """
    outside = not pods_with(form, "redis")
    for pod in pods_with(form, "transformer"):
        for port in (6379, 6380, 10000):
            assert may_reach(form, peer(pod), Peer(address="10.1.2.3"), port) == outside
            assert not may_reach(form, peer(pod), Peer(address="8.8.8.8"), port)


@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda gateway: gateway.namespace)
def test_gateways(form: Form, gateway: Peer) -> None:
    """
    Gateways reach the transformer, in Knative also the predictor, to which the transformer goes through one.
    """
    knative = form.mode == "Knative"
    for pod in pods_with(form, "transformer"):
        assert all(may_reach(form, gateway, peer(pod), port) for port in (QUEUE_PROXY if knative else (8080, 8081)))
        assert not knative or may_reach(form, peer(pod), gateway, 8081)
    for pod in pods_with(form, "predictor"):
        allowed = knative or pod in pods_with(form, "transformer")
        assert all(may_reach(form, gateway, peer(pod), port) == allowed for port in QUEUE_PROXY)


def test_knative_serving(form: Form) -> None:
    """
    In Knative, activator and autoscaler reach every pod that scales.
    """
    for pod in pods_of(form):
        if form.mode == "Knative" and pod in (*pods_with(form, "predictor"), *pods_with(form, "transformer")):
            assert all(may_reach(form, KNATIVE, peer(pod), port) for port in QUEUE_PROXY)


def test_predictor(form: Form) -> None:
    """
    The transformer may reach the predictor directly, and the predictor reaches nobody unless it shares a pod.

    If it sends traces, it reaches the collector, and who knows the collector's address; for a Ray cluster (test_ray)
    it also asks for an address.
    """
    alone = [pod for pod in pods_with(form, "predictor") if pod not in pods_with(form, "transformer")]
    for pod in alone:
        for transformer in pods_with(form, "transformer"):
            assert all(may_reach(form, peer(transformer), peer(pod), port) for port in (8080, 8081))
        others = [*GATEWAYS, KNATIVE, PROMETHEUS, STRANGER, *DNS, Peer(address="8.8.8.8")]
        reached = [
            (other, port)
            for other in others
            for port in (53, 80, 443, 4318, 6379, 8080)
            if may_reach(form, peer(pod), other, port)
        ]
        traces = [(PROMETHEUS, 4318), *((server, 53) for server in DNS)]
        names = [(server, 53) for server in DNS]
        assert reached == (traces if "tracing" in form.components else names if "ray" in form.components else [])


def test_collector(form: Form) -> None:
    """
    Where a service is told of a collector, and there alone, its pod reaches it and can look up its name.
    """
    for pod in pods_of(form):
        env = {each["name"]: each.get("value") for one in pod.containers for each in one.spec["env"]}
        told = urlsplit(env.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
        assert bool(told.hostname) == ("tracing" in form.components and pod.host != "sentiment-redis")
        if told.hostname and told.port:
            assert may_reach(form, peer(pod), Peer(told.hostname.partition(".")[2]), told.port)
            assert all(may_reach(form, peer(pod), server, 53, "UDP") for server in DNS)


def test_names(form: Form) -> None:
    """
    The transformer reaches the cluster's DNS and its cache on the node, over UDP and TCP, and nothing else of theirs.
    """
    for pod in pods_with(form, "transformer"):
        for server in DNS:
            assert all(may_reach(form, peer(pod), server, 53, protocol) for protocol in ("UDP", "TCP"))
            assert not any(may_reach(form, peer(pod), server, 80, protocol) for protocol in ("UDP", "TCP"))


def test_strangers(form: Form) -> None:
    """
    No other namespace and no address reaches a pod.
    """
    for pod in pods_of(form):
        for stranger in (STRANGER, Peer("kube-system"), Peer(address="10.1.2.3")):
            assert not any(may_reach(form, stranger, peer(pod), port) for port in (*pod.ports, *QUEUE_PROXY))
