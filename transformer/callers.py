"""
Who calls, as far as a rate limit must know: a name that tells one client from another and nothing else.
"""

import hashlib
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# What one subscriber gets (RFC 6177); single addresses of it cost nothing.
_IPV6_PREFIX = 64


class Callers:
    """
    Names clients by a header, or by their address.

    Args:
        header: the header that names a client; None, or a request without it, means by address.
        trusted: proxies whose `X-Forwarded-For` is believed.
    """

    def __init__(self, header: str | None, trusted: Sequence[Network]) -> None:
        self._header = header
        self._trusted = trusted

    def name(self, headers: Headers, peer: str) -> str:
        """
        A digest that names the client.

        Args:
            peer: the address at the other end of the connection.
        """
        # the last one of each header is the nearest proxy's; those before may be the client's inventions
        told = headers.getlist(self._header)[-1:] if self._header else []
        plain = f"header:{told[0]}" if any(told) else f"address:{self._network(headers, peer)}"
        return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()

    def _network(self, headers: Headers, peer: str) -> Network | str:
        address = _address(peer)
        if address is None:
            return peer
        forwarded = ",".join(headers.getlist("x-forwarded-for")).split(",")
        # Each proxy adds whom it has seen at the end: from there back to the first that no trusted proxy added.
        while forwarded and any(address in network for network in self._trusted):
            seen = _address(forwarded.pop())
            if seen is None:
                break
            address = seen
        prefix = _IPV6_PREFIX if isinstance(address, IPv6Address) else address.max_prefixlen
        return ip_network((address, prefix), strict=False)


def _address(text: str) -> Address | None:
    """
    An address, with a port or without: `10.0.0.9`, `10.0.0.9:80`, `2001:db8::1`, `[2001:db8::1]:80`.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
