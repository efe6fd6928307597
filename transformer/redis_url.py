"""
Where the Redis is: a URL of redis-py's, with two forms more for a cluster and for sentinels.

`redis://`, `rediss://` (TLS) and `unix://` are redis-py's own, with user, password, database and options.
`redis+cluster://host:port` names any node of a cluster, and `redis+sentinel://host:port,host:port/service[/database]`
the sentinels that know a service's primary, as the `limits` library writes them; `rediss+…` is the same over TLS.
"""

from types import ModuleType
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

AsyncClient = redis.asyncio.Redis | redis.asyncio.RedisCluster
Client = redis.Redis | redis.RedisCluster

MAX_CONNECTIONS = 32
_SENTINEL_PORT = 26379


def connect(url: str, *, timeout_seconds: float) -> AsyncClient:
    """
    A client of the Redis at a URL, which connects when it is first asked.

    Args:
        timeout_seconds: longest wait to connect, for a connection, and for an answer.

    Raises:
        ValueError: the URL is none of these.
    """
    client: AsyncClient = _connect(redis.asyncio, AsyncRetry(NoBackoff(), 0), url, timeout_seconds)
    return client


def connect_blocking(url: str, *, timeout_seconds: float) -> Client:
    """
    The same for who has no event loop; a cluster is asked at once.

    Raises:
        RedisError, RedisClusterException: the cluster does not answer.
    """
    client: Client = _connect(redis, Retry(NoBackoff(), 0), url, timeout_seconds)
    return client


async def disconnect(client: AsyncClient) -> None:
    """
    Close a client's connections, those to sentinels included, which redis-py leaves open.
    """
    await client.aclose()
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool):
        await pool.disconnect()
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _connect(clients: ModuleType, retry: Any, url: str, timeout_seconds: float) -> Any:
    """
    A client of those that redis-py has under the same names with and without an event loop.
    """
    scheme, _, rest = url.partition("://")
    transport, _, form = scheme.partition("+")
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": retry,
    }
    if "decode_responses" in rest:
        raise ValueError("decode_responses must be left out; answers are bytes")
    match form:
        case "":
            client = clients.Redis.from_url(url, max_connections=MAX_CONNECTIONS, **options)
            client.connection_pool.make_connection()  # tells now what an option lacks
            return client
        case "cluster":
            return clients.RedisCluster.from_url(f"{transport}://{rest}", **options)
        case "sentinel":
            return _primary(clients, rest, ssl=transport == "rediss", **options)
        case _:
            raise ValueError(f"{scheme}:// is not known; use redis, rediss, unix, redis+cluster or redis+sentinel")


def _primary(clients: ModuleType, rest: str, **options: Any) -> Any:
    authority, _, path = rest.partition("/")
    user, _, hosts = authority.rpartition("@")
    service, _, database = path.partition("/")
    if not service or not (database or "0").isdecimal():
        raise ValueError("sentinels need a service: redis+sentinel://host:port,host:port/service/database")
    if user:
        options["username"], _, options["password"] = user.rpartition(":")
        options["username"] = options["username"] or None
    sentinels = [_address(host) for host in hosts.split(",")]
    known = clients.Sentinel(sentinels, **options)
    return known.master_for(service, db=int(database or 0), max_connections=MAX_CONNECTIONS)


def _address(host: str) -> tuple[str, int]:
    name, _, port = host.partition(":")
    return name, int(port or _SENTINEL_PORT)
