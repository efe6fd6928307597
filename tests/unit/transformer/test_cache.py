import asyncio
import tracemalloc

import pytest

from transformer import cache, entry
from transformer.cache import TextCache
from transformer.redis_store import RedisStore
from transformer.revision import ModelRevision

from .parts import LABELS, RedisServer, revision_of, row_of

R1 = revision_of("r1")
KEY = entry.key_of("sentiment", "r1", "text")
ROWS = {text: row_of("r1", text) for text in ("text", "", "Ελληνικά", "a\x00b", "long " * 5000)}


def cache_on(
    store: RedisStore, *, model_name: str = "sentiment", local_bytes: int = 0, ttl_jitter: float = 0.1
) -> TextCache:
    """
    A cache as another process has it: nothing of its own yet.
    """
    return TextCache(model_name, store, local_bytes=local_bytes, ttl_seconds=1000, ttl_jitter=ttl_jitter)


async def put(store: RedisStore) -> None:
    """
    Store the rows and wait until Redis has them.
    """
    cache_on(store).store(R1, ROWS)
    await asyncio.gather(*store._pending)


async def test_another_process_finds_what_was_stored(store: RedisStore) -> None:
    """
    Rows stored by one cache are found by another on the same Redis, and no other texts are.
    """
    await put(store)
    assert await cache_on(store).lookup(R1, [*ROWS, "unknown"]) == ROWS


async def test_revisions_and_models_are_apart(store: RedisStore) -> None:
    """
    A row is found under the model and revision that it was stored for, and under no other, in either level.
    """
    local = cache_on(store, local_bytes=1_000_000)
    local.store(R1, ROWS)
    await asyncio.gather(*store._pending)
    assert await local.lookup(R1, ROWS) == ROWS
    assert await local.lookup(revision_of("r2"), ROWS) == {}
    assert await cache_on(store).lookup(revision_of("r2"), ROWS) == {}
    assert await cache_on(store, model_name="other").lookup(R1, ROWS) == {}
    assert await cache_on(store).lookup(ModelRevision("r1", (*LABELS, "NEUTRAL")), ROWS) == {}


@pytest.mark.parametrize("local_bytes", [1, cache.ENTRY_BYTES + 2 * cache.SCORE_BYTES, 1_000_000])
async def test_local_hit_needs_no_redis(mortal_redis: RedisServer, local_bytes: int) -> None:
    """
    What one lookup got from Redis the next one has without it, as far as the local bytes reach.
    """
    store = RedisStore(mortal_redis.url, timeout_ms=10_000)
    await put(store)
    local = cache_on(store, local_bytes=local_bytes)
    await local.lookup(R1, ROWS)
    mortal_redis.kill()
    found = await local.lookup(R1, ROWS)
    assert found.items() <= ROWS.items()
    assert len(found) == min(len(ROWS), local_bytes // (cache.ENTRY_BYTES + 2 * cache.SCORE_BYTES))
    await store.close()


async def test_no_local_bytes_keeps_nothing_here(store: RedisStore, redis_server: RedisServer) -> None:
    """
    With `local_bytes=0` each lookup asks Redis, and finds what is there.
    """
    shared_only = cache_on(store)
    shared_only.store(R1, ROWS)
    await asyncio.gather(*store._pending)
    assert await shared_only.lookup(R1, ROWS) == ROWS
    redis_server.direct.flushall()
    assert await shared_only.lookup(R1, ROWS) == {}


VALUE = entry.pack(KEY, ROWS["text"])


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"junk",
        VALUE[:-1],
        VALUE + b"\0",
        bytes(len(VALUE)),
        VALUE[::-1],
        entry.pack("another key", ROWS["text"]),
        b"x" * 10**6,
    ],
    ids=["empty", "words", "short", "long", "zeros", "reversed", "another key's", "huge"],
)
async def test_junk_in_redis_is_a_miss(store: RedisStore, redis_server: RedisServer, junk: bytes) -> None:
    """
    Junk written over a real value is a miss, its neighbours are not, and the next store repairs it.
    """
    await put(store)
    redis_server.direct.set(KEY, junk)
    assert await cache_on(store).lookup(R1, ROWS) == {text: row for text, row in ROWS.items() if text != "text"}
    await put(store)
    assert await cache_on(store).lookup(R1, ROWS) == ROWS


async def test_value_of_another_type_is_a_miss(store: RedisStore, redis_server: RedisServer) -> None:
    """
    A list where a value should be is a miss.
    """
    redis_server.direct.rpush(KEY, "junk")
    assert await cache_on(store).lookup(R1, ["text"]) == {}


@pytest.mark.parametrize("ttl_jitter", [0.0, 0.5])
async def test_values_expire_at_different_times(
    store: RedisStore, redis_server: RedisServer, ttl_jitter: float
) -> None:
    """
    Every value in Redis lives for at least the TTL and at most the TTL and its jitter, spread over what lies between.
    """
    direct = redis_server.direct
    seconds, microseconds = direct.time()
    texts = [f"text {number}" for number in range(200)]
    cache_on(store, ttl_jitter=ttl_jitter).store(R1, {text: row_of("r1", text) for text in texts})
    await asyncio.gather(*store._pending)
    left = [direct.pttl(key) / 1000 for key in direct.scan_iter(count=1000)]
    later_seconds, later_microseconds = direct.time()
    elapsed = later_seconds - seconds + (later_microseconds - microseconds) / 1e6
    assert len(left) == len(texts)
    assert min(left) >= 1000 - elapsed - 0.002
    assert max(left) <= 1000 * (1 + ttl_jitter)
    assert len({round(ttl) for ttl in left}) > 50 or not ttl_jitter


# Just past 21,845 entries a dictionary doubles: what an entry costs is highest there.
@pytest.mark.parametrize(("capacity", "stored"), [(30_000, 20_000), (21_850, 65_550)], ids=["filling", "full"])
@pytest.mark.parametrize("columns", [2, 5, 28])
async def test_local_cache_stays_within_its_bytes(capacity: int, stored: int, columns: int) -> None:
    """
    The local cache takes no more than its bytes, for any number of labels, filling or full.
    """
    local_bytes = capacity * (cache.ENTRY_BYTES + columns * cache.SCORE_BYTES)
    local = cache_on(RedisStore(None, timeout_ms=50), local_bytes=local_bytes)
    revision = revision_of("0123456789abcdef")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(stored):
            local.store(revision, {f"text {number}": tuple((number + n) / stored for n in range(columns))})
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(local._local) == min(capacity, stored)
    assert taken <= len(local._local) * (cache.ENTRY_BYTES + columns * cache.SCORE_BYTES)
