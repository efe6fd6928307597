"""
Who may talk to whom, as Kubernetes reads the NetworkPolicies of a form.
"""

import ipaddress
from dataclasses import dataclass, field

from .pods import Pod
from .rendered import Form, Object


@dataclass(frozen=True)
class Peer:
    """
    One end of a connection: a pod of ours, of another namespace, or an address.
    """

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = ""


def peer(pod: Pod) -> Peer:
    """
    A pod of ours.
    """
    return Peer("sentiment", pod.labels)


def may_reach(form: Form, source: Peer, target: Peer, port: int) -> bool:
    """
    Whether both ends' policies let a TCP connection through.
    """
    return _lets(form, source, target, port, "Egress") and _lets(form, target, source, port, "Ingress")


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """
    Whether a label selector matches.
    """
    pairs: dict[str, str] = selector.get("matchLabels", {})
    expressions: list[Object] = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return pairs.items() <= labels.items() and all(labels.get(each["key"]) in each["values"] for each in expressions)


def _lets(form: Form, pod: Peer, other: Peer, port: int, direction: str) -> bool:
    if pod.namespace != "sentiment":
        return True
    policies = [
        policy["spec"]
        for policy in form.of("NetworkPolicy")
        if selects(policy["spec"]["podSelector"], pod.labels) and direction in policy["spec"]["policyTypes"]
    ]
    side = "to" if direction == "Egress" else "from"
    rules = [rule for policy in policies for rule in policy.get(direction.lower(), [])]
    return not policies or any(
        any(_is(each, other) for each in rule[side])
        and port in [each["port"] for each in rule.get("ports", [{"port": port}])]
        for rule in rules
    )


def _is(description: Object, other: Peer) -> bool:
    if "ipBlock" in description:
        block = ipaddress.ip_network(description["ipBlock"]["cidr"])
        return bool(other.address) and ipaddress.ip_address(other.address) in block
    if "namespaceSelector" in description:
        return selects(description["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    return other.namespace == "sentiment" and selects(description["podSelector"], other.labels)
