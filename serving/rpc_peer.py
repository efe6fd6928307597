"""
Who calls over gRPC, in the terms of HTTP.
"""

from typing import Any
from urllib.parse import unquote

from grpc import aio
from starlette.datastructures import Headers

Context = aio.ServicerContext[Any, Any]


def headers_of(context: Context) -> Headers:
    """
    The call's metadata.
    """
    # ASCII, or bytes where a name ends in -bin
    return Headers(raw=[(name.encode(), str(value).encode()) for name, value in context.invocation_metadata() or ()])


def host_of(context: Context) -> str:
    """
    The address in gRPC's name of a peer: `ipv4:10.0.0.9:1`, `ipv6:%5B::1%5D:1`.
    """
    return unquote(context.peer()).partition(":")[2].rpartition(":")[0].strip("[]")
