"""
The Redis that holds the answers, walked in small steps so that the service it belongs to does not notice.
"""

import contextlib
from collections.abc import Iterator

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.utils import str_if_bytes

from caching.progress import bar
from local import redis_server
from local.supervisor import Failure
from transformer import entry, lenient

DEFAULT_URL = "redis://localhost:6379/0"
TIMEOUT_SECONDS = 5

SCAN_COUNT = 250
"""Keys that Redis looks at in a step: a quarter of a millisecond in which it serves nobody else."""


@contextlib.contextmanager
def connected(url: str | None) -> Iterator[Redis]:
    """
    Connect; whatever Redis has against it, then or later, is a `Failure` of one line.

    Args:
        url: redis-py's, or None to look for the Redis of scripts/serve.
    """
    try:
        redis = Redis.from_url(url or _found(), socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
        redis.connection_pool.make_connection()
    except (ValueError, TypeError, RedisError) as error:
        raise Failure(f"--redis-url: {error}") from None
    with redis:
        try:
            _check_whole(redis)
            yield redis
        except AuthenticationError as error:
            raise Failure(f"{error}; give it as redis://USER:PASSWORD@HOST:PORT/0 in REDIS_URL") from None
        except RedisError as error:
            raise Failure(f"Redis at {address(redis)}: {error}; is it up, and is --redis-url right?") from None


def address(redis: Redis) -> str:
    """
    Where a Redis is, without its password.
    """
    to = redis.get_connection_kwargs()
    return to["path"] if "path" in to else f"{to.get('host', 'localhost')}:{to.get('port', 6379)}/{to.get('db', 0)}"


def current_revision(redis: Redis, model_name: str) -> str | None:
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
    redis: Redis, model_name: str, revision: str | None = None, *, doing: str
) -> Iterator[list[tuple[bytes | str, str]]]:
    """
    Visit the keys of a revision, or of every revision of the model; those that come or go meanwhile may be missed.

    Yields:
        keys with their revisions, a step's at a time.
    """
    pattern, cursor = entry.pattern_of(model_name, revision), 0
    with bar(doing, "keys", redis.dbsize()) as tell:
        while True:
            cursor, keys = redis.scan(cursor, match=pattern, count=SCAN_COUNT)
            named = [(key, entry.revision_of(model_name, str_if_bytes(key))) for key in keys]
            yield [(key, name) for key, name in named if name is not None and revision in (None, name)]
            tell(advance=SCAN_COUNT)
            if cursor == 0:
                return


def _found() -> str:
    urls = redis_server.running()
    if len(urls) > 1:
        raise Failure(f"several stacks run; choose one with --redis-url: {', '.join(urls)}")
    return urls[0] if urls else DEFAULT_URL


def _check_whole(redis: Redis) -> None:
    # SCAN would tell of this node's share of the keys as if it were everything.
    if redis.info("server").get("redis_mode") == "cluster":
        raise Failure(f"Redis at {address(redis)} is a cluster's node, and clusters are not supported")
