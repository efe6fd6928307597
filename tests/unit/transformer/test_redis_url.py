"""
The forms of a Redis URL, each on real servers.
"""

import contextlib
import random
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import redis

from transformer import redis_url
from transformer.redis_store import RedisStore

from .parts import RedisServer, _binary

SLOTS = 16384


def free_port() -> int:
    """
    A port that is free, as is the one 10,000 higher, where a cluster's nodes talk; both below those given to clients.
    """
    while True:
        port = random.randrange(10_000, 22_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as listening:
            for each in (port, port + 10_000):
                listening.enter_context(socket.create_server(("127.0.0.1", each)))
            return port


def until(holds: Callable[[], object]) -> None:
    """
    Return once something holds, whatever it raised before.
    """
    deadline = monotonic() + 60
    while True:
        with contextlib.suppress(redis.RedisError):
            if holds():
                return
        assert monotonic() < deadline
        sleep(0.02)


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[redis.Redis]:
    """
    A Redis that runs in a folder of its own.
    """
    folder.mkdir()
    port = free_port()
    command = [_binary(), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        client = redis.Redis(port=port)
        try:
            until(client.ping)
            yield client
        finally:
            client.close()
            process.kill()


def port_of(client: redis.Redis) -> int:
    """
    Where a server listens.
    """
    port: int = client.connection_pool.connection_kwargs["port"]
    return port


async def keeps_answers(url: str) -> None:
    """
    A store at this URL gives back what it was given.
    """
    store = RedisStore(url, timeout_ms=2000)
    keys = [f"sentiment:{{m:r}}:{number}" for number in range(3)]
    store.set_later({key: key.encode() for key in keys}, ttl_seconds=lambda: 60)
    await store.close()
    store = RedisStore(url, timeout_ms=2000)
    assert await store.get([*keys, "sentiment:{m:r}:none"]) == [*(key.encode() for key in keys), None]
    await store.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[redis.Redis]:
    """
    A cluster of two nodes, each with half of the slots.
    """
    options = ["--cluster-enabled", "yes", "--save", "", "--appendonly", "no"]
    with server(tmp_path / "a", *options) as first, server(tmp_path / "b", *options) as second:
        first.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2))
        second.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS // 2, SLOTS))
        first.execute_command("CLUSTER", "MEET", "127.0.0.1", port_of(second))
        for node in (first, second):
            until(lambda node=node: b"cluster_state:ok" in node.execute_command("CLUSTER", "INFO"))
        yield first


async def test_cluster_keeps_answers(cluster: redis.Redis) -> None:
    """
    Any node of a cluster will do, whichever of them holds the keys.
    """
    await keeps_answers(f"redis+cluster://127.0.0.1:{port_of(cluster)}")


async def test_sentinel_names_the_primary(tmp_path: Path) -> None:
    """
    Sentinels tell where a service's primary is, and its database holds the answers.
    """
    config = tmp_path / "sentinel.conf"
    with RedisServer() as primary:
        port = port_of(primary.direct)
        config.write_text(f"sentinel monitor answers 127.0.0.1 {port} 1\n")
        with server(tmp_path / "sentinel", str(config), "--sentinel") as sentinel:
            await keeps_answers(f"redis+sentinel://127.0.0.1:{port_of(sentinel)}/answers/2")
        with redis.Redis(port=port, db=2) as database:
            assert database.dbsize() == 3


@pytest.mark.parametrize("form", ["redis+cluster://127.0.0.1:{}", "redis+sentinel://127.0.0.1:{}/answers"])
async def test_nobody_there_is_no_answer(form: str) -> None:
    """
    A cluster or sentinels that cannot be reached are as good as an empty Redis.
    """
    store = RedisStore(form.format(free_port()), timeout_ms=200)
    assert await store.get(["key"]) == [None]
    await store.close()


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://redis", "redis"),
        ("redis+ring://redis", "not known"),
        ("redis+sentinel://redis:26379", "service"),
        ("redis+sentinel://redis:26379/answers/first", "service"),
        ("redis://redis?decode_responses=True", "decode_responses"),
    ],
)
def test_odd_url_is_refused(url: str, wrong: str) -> None:
    """
    A URL of no known form is refused with what would be right.
    """
    with pytest.raises(ValueError, match=wrong):
        redis_url.connect(url, timeout_seconds=1)
