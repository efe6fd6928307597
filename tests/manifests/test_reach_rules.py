"""
The reading of NetworkPolicies itself, by policies of one rule each.
"""

from typing import Any

import pytest

from .reach import Peer, lets

OURS = Peer("sentiment", {"app": "ours", "tier": "back"})
NEIGHBOUR = Peer("sentiment", {"app": "neighbour"})
OTHER = Peer("other", {"app": "neighbour"})
OUTSIDE = Peer(address="10.1.2.3")

ANY_NAMESPACE: dict[str, Any] = {"namespaceSelector": {}}
OTHER_NAMESPACE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}
NEIGHBOURS = {"podSelector": {"matchLabels": {"app": "neighbour"}}}
STRANGERS = {"podSelector": {"matchLabels": {"app": "stranger"}}}


def policy(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """
    Ours are reached by these rules.
    """
    return {"spec": {"podSelector": {"matchLabels": {"app": "ours"}}, "ingress": list(rules), **spec}}


def reached_by(*rules: dict[str, Any], port: int = 80, protocol: str = "TCP") -> list[Peer]:
    """
    Who reaches ours.
    """
    everyone = (NEIGHBOUR, OTHER, OUTSIDE)
    return [source for source in everyone if lets([policy(*rules)], source, OURS, port, protocol)]


@pytest.mark.parametrize(
    ("peers", "who"),
    [
        ([NEIGHBOURS], [NEIGHBOUR]),
        ([OTHER_NAMESPACE], [OTHER]),
        ([ANY_NAMESPACE], [NEIGHBOUR, OTHER]),
        ([{**OTHER_NAMESPACE, **NEIGHBOURS}], [OTHER]),
        ([{**OTHER_NAMESPACE, **STRANGERS}], []),
        ([{**ANY_NAMESPACE, **NEIGHBOURS}], [NEIGHBOUR, OTHER]),
        ([OTHER_NAMESPACE, NEIGHBOURS], [NEIGHBOUR, OTHER]),
        ([OTHER_NAMESPACE, STRANGERS], [OTHER]),
        ([{"ipBlock": {"cidr": "10.0.0.0/8"}}], [OUTSIDE]),
        ([{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], []),
        ([{"ipBlock": {"cidr": "192.168.0.0/16"}}], []),
        ([], [NEIGHBOUR, OTHER, OUTSIDE]),
    ],
    ids=str,
)
def test_peers(peers: list[dict[str, Any]], who: list[Peer]) -> None:
    """
    Two selectors of one peer must both match, of two peers one; a namespace's holds pods alone, and no peer means all.
    """
    assert reached_by({"from": peers}) == who


@pytest.mark.parametrize(
    ("ports", "open_ports"),
    [
        ([{"port": 53}], [(53, "TCP")]),
        ([{"port": 53, "protocol": "UDP"}], [(53, "UDP")]),
        ([{"port": 53, "protocol": "UDP"}, {"port": 54}], [(53, "UDP"), (54, "TCP")]),
        ([{"port": 53, "endPort": 54}], [(53, "TCP"), (54, "TCP")]),
        ([{"protocol": "UDP"}], [(53, "UDP"), (54, "UDP")]),
        ([], [(53, "TCP"), (53, "UDP"), (54, "TCP"), (54, "UDP")]),
    ],
    ids=str,
)
def test_ports(ports: list[dict[str, Any]], open_ports: list[tuple[int, str]]) -> None:
    """
    A port is open for its protocol alone, TCP unless it says another, and no port means all.
    """
    every = [(port, protocol) for port in (53, 54) for protocol in ("TCP", "UDP")]
    rule = {"from": [NEIGHBOURS], "ports": ports}
    assert [each for each in every if reached_by(rule, port=each[0], protocol=each[1])] == open_ports


def test_rules_add_up() -> None:
    """
    A rule's peers go with its own ports, and rules and policies add to each other.
    """
    rules = {"from": [NEIGHBOURS], "ports": [{"port": 80}]}, {"from": [OTHER_NAMESPACE], "ports": [{"port": 81}]}
    assert reached_by(*rules, port=80) == [NEIGHBOUR]
    assert reached_by(*rules, port=81) == [OTHER]
    assert lets([policy(rules[0]), policy(rules[1])], OTHER, OURS, 81)


def test_no_rule() -> None:
    """
    A pod that a policy selects is closed but for its rules; one that none selects is open.
    """
    assert reached_by() == []
    assert lets([policy()], OTHER, NEIGHBOUR, 80)


def test_directions() -> None:
    """
    A policy closes the way in, and the way out only if it says so.
    """
    assert lets([policy()], OURS, OTHER, 80)
    assert not lets([policy(egress=[])], OURS, OTHER, 80)
    assert not lets([policy(policyTypes=["Egress"])], OURS, OTHER, 80)
    assert lets([policy(policyTypes=["Egress"])], OTHER, OURS, 80)


def test_both_ends() -> None:
    """
    Out of one pod and into another both policies must agree.
    """
    into = policy({"from": [NEIGHBOURS]})
    out = {"spec": {"podSelector": NEIGHBOURS["podSelector"], "policyTypes": ["Egress"], "egress": []}}
    assert lets([into], NEIGHBOUR, OURS, 80)
    assert not lets([into, out], NEIGHBOUR, OURS, 80)


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [
        ("In", ["back", "front"], True),
        ("In", ["front"], False),
        ("NotIn", ["front"], True),
        ("NotIn", ["back"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_expressions(operator: str, values: list[str] | None, matches: bool) -> None:
    """
    Each of Kubernetes' four operators selects as it says.
    """
    expression = {"key": "tier", "operator": operator, **({"values": values} if values else {})}
    closed = {"spec": {"podSelector": {"matchExpressions": [expression]}}}
    assert lets([closed], OTHER, OURS, 80) is not matches
