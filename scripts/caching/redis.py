"""
The Redis that holds the answers, walked in small steps so that the service it belongs to does not notice.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from redis import RedisCluster
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError
from redis.sentinel import SentinelConnectionPool
from redis.utils import str_if_bytes

from caching.progress import bar
from local import redis_server
from local.supervisor import Failure
from transformer import entry, lenient
from transformer.redis_url import Client, connect_blocking

TIMEOUT_SECONDS = 5

SCAN_COUNT = 250
"""Keys that Redis looks at in a step: a quarter of a millisecond in which it serves nobody else."""


@contextlib.contextmanager
def connected(url: str | None) -> Iterator[Client]:
    """
    Connect; whatever Redis has against it, then or later, is a `Failure` of one line.

    Args:
        url: as `transformer.redis_url` has it, or None to look for the Redis of scripts/serve.
    """
    url = url or _found()
    try:
        redis = connect_blocking(url, timeout_seconds=TIMEOUT_SECONDS)
    except (ValueError, TypeError, RedisError, RedisClusterException) as error:
        raise Failure(f"--redis-url: {error}") from None
    with redis:
        try:
            _check_whole(redis)
            yield redis
        except AuthenticationError as error:
            raise Failure(f"{error}; give it as redis://USER:PASSWORD@HOST:PORT/0 in REDIS_URL") from None
        except (RedisError, RedisClusterException) as error:
            raise Failure(f"Redis at {address(redis)}: {error}; is it up, and is --redis-url right?") from None


def address(redis: Client) -> str:
    """
    Where a Redis is, without its password; of a cluster one node.
    """
    if isinstance(redis, RedisCluster):
        node = redis.get_default_node()  # type: ignore[no-untyped-call]
        return f"the cluster of {node.name}"
    pool = redis.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return f"the primary of {pool.service_name}"
    to = redis.get_connection_kwargs()
    return to["path"] if "path" in to else f"{to.get('host', 'localhost')}:{to.get('port', 6379)}/{to.get('db', 0)}"


def nodes(redis: Client) -> list[Any]:
    """
    Who holds the keys: the Redis itself, or a cluster's primaries.
    """
    if isinstance(redis, RedisCluster):
        return [redis.get_redis_connection(node) for node in redis.get_primaries()]  # type: ignore[no-untyped-call]
    return [redis]


def current_revision(redis: Client, model_name: str) -> str | None:
    """
    The revision that transformers learnt last; None when none is remembered.
    """
    remembered = redis.get(entry.remembered_key(model_name))
    match lenient.loads(remembered) if isinstance(remembered, bytes) else None:
        case {"revision": str(revision)}:
            return revision
        case _:
            return None


def walk(
    redis: Client, model_name: str, revision: str | None = None, *, doing: str
) -> Iterator[list[tuple[bytes, str]]]:
    """
    Visit the keys of a revision, or of every revision of the model; those that come or go meanwhile may be missed.

    Yields:
        keys with their revisions, a step's at a time.
    """
    with bar(doing, "keys", sum(node.dbsize() for node in nodes(redis))) as tell:
        for keys in _steps(redis, entry.pattern_of(model_name, revision)):
            named = [(key, entry.revision_of(model_name, str_if_bytes(key))) for key in keys]
            yield [(key, name) for key, name in named if name is not None and revision in (None, name)]
            tell(advance=SCAN_COUNT)


def _steps(redis: Client, pattern: str) -> Iterator[list[bytes]]:
    """
    The keys, a step's at a time, of one node after the other.
    """
    for node in nodes(redis):
        cursor = None
        while cursor != 0:
            cursor, keys = node.scan(cursor or 0, match=pattern, count=SCAN_COUNT)
            yield keys


def _found() -> str:
    urls = redis_server.running()
    match urls:
        case [url]:
            return url
        case []:
            raise Failure("which Redis? Give it by --redis-url or REDIS_URL; no scripts/serve runs one just now")
        case _:
            raise Failure(f"several stacks run; choose one with --redis-url: {', '.join(urls)}")


def _check_whole(redis: Client) -> None:
    # SCAN would tell of this node's share of the keys as if it were everything.
    if not isinstance(redis, RedisCluster) and redis.info("server").get("redis_mode") == "cluster":
        raise Failure(f"Redis at {address(redis)} is a cluster's node; write redis+cluster:// for the whole")
