from types import SimpleNamespace
from typing import Any

import pytest

from serving.rpc_peer import host_of


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.9:1234", "10.0.0.9"),
        ("ipv6:%5B::1%5D:1234", "::1"),
        ("ipv6:[fe80::1%25eth0]:1234", "fe80::1%eth0"),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_host(peer: str, host: str) -> None:
    """
    The address is read out of every form in which gRPC names a peer.
    """
    context: Any = SimpleNamespace(peer=lambda: peer)
    assert host_of(context) == host
