from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from transformer.callers import Callers

CLIENT, OTHER, PROXY, OUTER_PROXY = "203.0.113.5", "203.0.113.6", "10.0.0.1", "10.0.0.2"
BY_ADDRESS = Callers(None, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def named(callers: Callers, peer: str, *forwarded: str, **headers: str) -> str:
    """
    The client's name in a request with these `X-Forwarded-For` lines and other headers.
    """
    lines = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    lines += [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return callers.name(Headers(raw=lines), peer)


@given(st.lists(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]))))
def test_forwarded_of_a_stranger(forwarded: list[str]) -> None:
    """
    What a client that is no trusted proxy says about addresses does not change its name.
    """
    lines = [line.encode("latin-1") for line in forwarded]
    headers = Headers(raw=[(b"x-forwarded-for", line) for line in lines])
    assert BY_ADDRESS.name(headers, CLIENT) == named(BY_ADDRESS, CLIENT)


@given(st.lists(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]))))
def test_forwarded_invented(invented: list[str]) -> None:
    """
    Whatever a client puts into the header, the address that the trusted proxies added names it.
    """
    lines = [line.encode("latin-1") for line in invented]
    seen = f"{CLIENT}, {OUTER_PROXY}".encode()
    headers = Headers(raw=[(b"x-forwarded-for", line) for line in [*lines, seen]])
    assert BY_ADDRESS.name(headers, PROXY) == named(BY_ADDRESS, CLIENT)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (PROXY, [f"{OTHER}, {CLIENT}"], CLIENT),
        (PROXY, [OTHER, CLIENT], CLIENT),
        (PROXY, [f"{OTHER}, {CLIENT} , {OUTER_PROXY}"], CLIENT),
        (PROXY, [f"{CLIENT}:4711"], CLIENT),
        (PROXY, [f"::ffff:{CLIENT}"], CLIENT),
        (f"::ffff:{PROXY}", [CLIENT], CLIENT),
        ("fd00::1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        (PROXY, [OUTER_PROXY], OUTER_PROXY),
        (PROXY, [], PROXY),
        (PROXY, ["", " , "], PROXY),
        (PROXY, [f"{CLIENT}, unknown, {OUTER_PROXY}"], OUTER_PROXY),
        (OTHER, [CLIENT], OTHER),
    ],
)
def test_forwarded(peer: str, forwarded: list[str], client: str) -> None:
    """
    The client is the last address that no trusted proxy has, or else the farthest proxy.
    """
    assert named(BY_ADDRESS, peer, *forwarded) == named(BY_ADDRESS, client)


def test_addresses_are_apart() -> None:
    """
    Two addresses are two clients, but for those of one IPv6 subscriber, who has 2⁶⁴ of them.
    """
    addresses = [CLIENT, OTHER, "2001:db8::9", "2001:db8:0:1::9", "not an address", ""]
    assert len({named(BY_ADDRESS, address) for address in addresses}) == len(addresses)
    assert named(BY_ADDRESS, "2001:db8::9") == named(BY_ADDRESS, "2001:db8::ffff:1")


def test_header() -> None:
    """
    The header names the client wherever it comes from; a request without it is known by its address.
    """
    callers = Callers("X-Api-Key", [])
    assert named(callers, CLIENT, x_api_key="k") == named(callers, OTHER, x_api_key="k")
    assert named(callers, CLIENT, x_api_key="k") != named(callers, CLIENT, x_api_key="l")
    assert named(callers, CLIENT, x_api_key="") == named(callers, CLIENT)
    assert named(callers, CLIENT, x_api_key=CLIENT) != named(callers, CLIENT)


def test_header_twice() -> None:
    """
    Of a header that comes twice the last one counts, which is the gateway's.
    """
    twice = Headers(raw=[(b"x-api-key", b"invented"), (b"x-api-key", b"k")])
    assert Callers("x-api-key", []).name(twice, CLIENT) == named(Callers("x-api-key", []), CLIENT, x_api_key="k")


@given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), min_size=4))
def test_digest(value: str) -> None:
    """
    A name is 32 hexadecimal digits, whatever the header holds.
    """
    headers = Headers(raw=[(b"x-api-key", value.encode("latin-1"))])
    name = Callers("x-api-key", []).name(headers, CLIENT)
    assert len(name) == 32
    assert int(name, 16) >= 0
