"""
Where the Redis is: a URL of redis-py's, with two forms more for a cluster and for sentinels.

`redis://`, `rediss://` (TLS) and `unix://` are redis-py's own, with user, password, database and options.
`redis+cluster://host:port` names any node of a cluster, and `redis+sentinel://host:port,host:port/service[/database]`
the sentinels that know a service's primary, as the `limits` library writes them; `rediss+…` is the same over TLS.
"""

from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

_MAX_CONNECTIONS = 32
_SENTINEL_PORT = 26379


def connect(url: str, *, timeout_seconds: float) -> Redis | RedisCluster:
    """
    A client of the Redis at a URL, which connects when it is first asked.

    Args:
        timeout_seconds: longest wait to connect, for a connection, and for an answer.

    Raises:
        ValueError: the URL is none of these.
    """
    scheme, _, rest = url.partition("://")
    transport, _, form = scheme.partition("+")
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
    }
    if "decode_responses" in rest:
        raise ValueError("decode_responses must be left out; answers are bytes")
    match form:
        case "":
            options |= {"max_connections": _MAX_CONNECTIONS, "timeout": timeout_seconds}
            pool = BlockingConnectionPool.from_url(url, **options)
            pool.make_connection()  # type: ignore[no-untyped-call]  # tells now what an option lacks
            return Redis.from_pool(pool)
        case "cluster":
            return RedisCluster.from_url(f"{transport}://{rest}", **options)
        case "sentinel":
            return _primary(rest, ssl=transport == "rediss", **options)
        case _:
            raise ValueError(f"{scheme}:// is not known; use redis, rediss, unix, redis+cluster or redis+sentinel")


async def disconnect(redis: Redis | RedisCluster) -> None:
    """
    Close a client's connections, those to sentinels included, which redis-py leaves open.
    """
    await redis.aclose()
    pool = getattr(redis, "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool):
        await pool.disconnect()
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _primary(rest: str, **options: Any) -> Redis:
    authority, _, path = rest.partition("/")
    user, _, hosts = authority.rpartition("@")
    service, _, database = path.partition("/")
    if not service or not (database or "0").isdecimal():
        raise ValueError("sentinels need a service: redis+sentinel://host:port,host:port/service/database")
    if user:
        options["username"], _, options["password"] = user.rpartition(":")
        options["username"] = options["username"] or None
    sentinels = [_address(host) for host in hosts.split(",")]
    known: Any = Sentinel(sentinels, **options)  # type: ignore[no-untyped-call]
    primary: Redis = known.master_for(service, db=int(database or 0), max_connections=_MAX_CONNECTIONS)
    return primary


def _address(host: str) -> tuple[str, int]:
    name, _, port = host.partition(":")
    return name, int(port or _SENTINEL_PORT)
