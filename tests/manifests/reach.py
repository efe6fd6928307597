"""
Who may talk to whom, as Kubernetes reads NetworkPolicies.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .pods import Pod
from .rendered import Form, Object

NAMESPACE = "sentiment"


@dataclass(frozen=True)
class Peer:
    """
    One end of a connection: a pod, of our namespace or of another, or an address outside of the cluster.
    """

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = ""


def peer(pod: Pod) -> Peer:
    """
    A pod of ours.
    """
    return Peer(NAMESPACE, pod.labels)


def may_reach(form: Form, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """
    Whether a form's policies let a connection through.
    """
    return lets(form.of("NetworkPolicy"), source, target, port, protocol)


def lets(policies: Sequence[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """
    Whether the policies at both ends, all of them of our namespace, let a connection through.
    """
    return _side_lets(policies, source, target, (port, protocol), "Egress") and _side_lets(
        policies, target, source, (port, protocol), "Ingress"
    )


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """
    Whether a label selector matches; an empty one matches everything.
    """
    pairs: dict[str, str] = selector.get("matchLabels", {})
    return pairs.items() <= labels.items() and all(
        _matches(each, labels) for each in selector.get("matchExpressions", [])
    )


def _matches(expression: Object, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    values: list[str] = expression.get("values", [])
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


def _side_lets(policies: Sequence[Object], pod: Peer, other: Peer, port: tuple[int, str], direction: str) -> bool:
    """
    Whether the policies of one end do. A pod that none selects is open, another is as open as all of them together.
    """
    specs = [
        policy["spec"]
        for policy in policies
        if pod.namespace == NAMESPACE
        and selects(policy["spec"]["podSelector"], pod.labels)
        and direction in _types(policy["spec"])
    ]
    rules = [rule for spec in specs for rule in spec.get(direction.lower(), [])]
    peers = "to" if direction == "Egress" else "from"
    return not specs or any(
        _any(rule.get(peers), lambda each: _is(each, other)) and _any(rule.get("ports"), lambda each: _has(each, port))
        for rule in rules
    )


def _types(spec: Object) -> list[str]:
    types: list[str] = spec.get("policyTypes", ["Ingress", "Egress"] if "egress" in spec else ["Ingress"])
    return types


def _any(listed: list[Object] | None, fits: Callable[[Object], bool]) -> bool:
    """
    Whether one of a rule's peers, or ports, fits. A rule that lists none means all.
    """
    return not listed or any(fits(each) for each in listed)


def _has(listed: Object, port: tuple[int, str]) -> bool:
    number, protocol = port
    if listed.get("protocol", "TCP") != protocol:
        return False
    return "port" not in listed or listed["port"] <= number <= listed.get("endPort", listed["port"])


def _is(listed: Object, other: Peer) -> bool:
    """
    Whether a peer of a rule means that end: by address if it is outside, else by all selectors that the peer has.
    """
    if "ipBlock" in listed:
        return bool(other.address) and _within(listed["ipBlock"], other.address)
    if not other.namespace:
        return False
    if "namespaceSelector" in listed:
        in_namespace = selects(listed["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    else:
        in_namespace = other.namespace == NAMESPACE
    return in_namespace and selects(listed.get("podSelector", {}), other.labels)


def _within(block: Object, address: str) -> bool:
    def holds(network: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)

    return holds(block["cidr"]) and not any(holds(each) for each in block.get("except", []))
