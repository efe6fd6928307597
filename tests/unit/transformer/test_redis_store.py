import asyncio

from transformer.redis_store import RedisStore

from .parts import RedisServer


async def test_values_come_back_by_key(store: RedisStore) -> None:
    """
    `get` returns the stored values in the keys' order, None for each absent one.
    """
    store.set_later({f"k{n}": f"v{n}".encode() for n in range(600)}, ttl_seconds=lambda: 3600)
    await asyncio.gather(*store._pending)
    assert await store.get(["k599", "absent", "k0", "k0"]) == [b"v599", None, b"v0", b"v0"]
    assert await store.get([f"k{n}" for n in range(600)]) == [f"v{n}".encode() for n in range(600)]


async def test_get_is_one_round_trip(store: RedisStore, redis_server: RedisServer) -> None:
    """
    However many keys are asked for, Redis sees one command; for no key at all it sees none.
    """
    await store.get([f"k{n}" for n in range(1000)])
    await store.get([])
    commands = redis_server.direct.info("commandstats")
    assert commands["cmdstat_mget"]["calls"] == 1
    assert "cmdstat_get" not in commands


async def test_lookups_that_come_together_are_one_command(store: RedisStore, redis_server: RedisServer) -> None:
    """
    Lookups of one turn of the event loop are one command for each 512 keys and hash tag, and each gets its own values.
    """
    redis_server.direct.mset({f"{{{tag}}}{n}": f"{tag}{n}" for tag in "ab" for n in range(600)})
    asked = [[f"{{{tag}}}{n}" for n in range(start, start + 100)] for tag in "ab" for start in range(0, 600, 100)]
    left = asyncio.create_task(store.get(["{a}0"]))
    lookups = [asyncio.create_task(store.get(keys)) for keys in asked]
    await asyncio.sleep(0)
    left.cancel()
    answers = await asyncio.gather(*lookups)
    assert answers == [[f"{key[1]}{key[3:]}".encode() for key in keys] for keys in asked]
    assert redis_server.direct.info("commandstats")["cmdstat_mget"]["calls"] == 4


async def test_every_value_expires(store: RedisStore, redis_server: RedisServer) -> None:
    """
    Each key gets a TTL of its own from `ttl_seconds`.
    """
    ttls = iter([1000, 2000, 3000])
    store.set_later({"a": b"1", "b": b"2", "c": b"3"}, ttl_seconds=lambda: next(ttls))
    await asyncio.gather(*store._pending)
    assert [-(-redis_server.direct.ttl(key) // 1000) for key in "abc"] == [1, 2, 3]


async def test_no_redis_knows_nothing() -> None:
    """
    Without a URL every key is absent and every store is nothing.
    """
    store = RedisStore(None, timeout_ms=50)
    store.set_later({"a": b"1"}, ttl_seconds=lambda: 3600)
    assert not store._pending
    assert await store.get(["a", "b"]) == [None, None]
    await store.close()


async def test_close_finishes_the_stores(redis_server: RedisServer) -> None:
    """
    What was handed to `set_later` before `close` is in Redis after it.
    """
    store = RedisStore(redis_server.url, timeout_ms=10_000)
    for number in range(20):
        store.set_later({f"k{number}": b"1"}, ttl_seconds=lambda: 3600)
    await store.close()
    assert redis_server.direct.dbsize() == 20
