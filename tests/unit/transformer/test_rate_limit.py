from collections.abc import AsyncIterator, Callable

import pytest
from starlette.datastructures import Headers

from serving.errors import RateLimited
from transformer.breaker import Breaker
from transformer.callers import Callers
from transformer.rate_limit import RateLimit
from transformer.redis_peer import RedisPeer

from .parts import Clock, RedisServer

Make = Callable[..., RateLimit]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """
    Makes rate limits on a Redis, patient enough for a noisy machine, and closes them.
    """
    made: list[RateLimit] = []

    def make(rate: str, redis: RedisServer, *, model_name: str = "m", timeout_ms: int = 10_000) -> RateLimit:
        peer = RedisPeer(redis.url, timeout_ms=timeout_ms, breaker=Breaker("redis"))
        made.append(RateLimit(rate, Callers("x-api-key", []), peer, model_name=model_name))
        return made[-1]

    yield make
    for limit in made:
        await limit.close()


async def admitted(limit: RateLimit, times: int, key: str = "k") -> int:
    """
    How many of so many requests of one client are let in.
    """
    count = 0
    for _ in range(times):
        try:
            await limit.admit(Headers({"x-api-key": key}), "10.0.0.9")
        except RateLimited:
            continue
        count += 1
    return count


async def test_rate(make: Make, redis_server: RedisServer) -> None:
    """
    A client gets its rate and not one request more; another client gets its own.
    """
    limit = make("5/hour", redis_server)
    assert await admitted(limit, 9) == 5
    assert await admitted(limit, 9, "other") == 5


async def test_shared(make: Make, redis_server: RedisServer) -> None:
    """
    Replicas count together, and models apart.
    """
    one, two, other = (make("5/hour", redis_server, model_name=name) for name in ("m", "m", "n"))
    assert await admitted(one, 3) + await admitted(two, 9) == 5
    assert await admitted(other, 1) == 1


async def test_retry_after(make: Make, redis_server: RedisServer) -> None:
    """
    A refused client is told to wait for at least a second and at most the rate's time, in words that name the rate.
    """
    limit = make("1/hour", redis_server)
    await admitted(limit, 1)
    with pytest.raises(RateLimited, match="1 per 1 hour") as refused:
        await limit.admit(Headers({"x-api-key": "k"}), "")
    assert 1 <= refused.value.retry_after_seconds <= 3600  # type: ignore[operator]


async def test_keys(make: Make, redis_server: RedisServer) -> None:
    """
    Every key in Redis expires, and none tells the client's header.
    """
    await admitted(make("5/minute", redis_server), 9, "my-secret-key")
    keys = redis_server.direct.keys()
    assert keys
    assert all(0 < redis_server.direct.ttl(key) <= 120 for key in keys)
    assert not [key for key in keys if b"secret" in key]


async def test_one_round_trip(make: Make, redis_server: RedisServer) -> None:
    """
    A request that is let in costs Redis one command.
    """
    limit = make("100/hour", redis_server)
    await admitted(limit, 1)  # Redis learns the script
    redis_server.direct.config_resetstat()
    await admitted(limit, 7)
    commands = redis_server.direct.info("commandstats")
    # what a script calls is counted beside it
    assert commands["cmdstat_evalsha"]["calls"] == 7
    assert not {"cmdstat_eval", "cmdstat_script", "cmdstat_ping", "cmdstat_hello"} & commands.keys()


@pytest.mark.parametrize("fault", [RedisServer.hang, RedisServer.kill])
async def test_redis_away(
    make: Make, mortal_redis: RedisServer, fault: Callable[[RedisServer], None], clock: Clock
) -> None:
    """
    While Redis hangs or is dead everybody is let in, after three failures without asking.
    """
    limit = make("1/hour", mortal_redis, timeout_ms=250)
    limit._peer.breaker = Breaker("redis", clock=clock)
    assert await admitted(limit, 2) == 1
    fault(mortal_redis)
    assert await admitted(limit, 50) == 50
    assert limit._peer.breaker.open


async def test_redis_back(make: Make, mortal_redis: RedisServer, clock: Clock) -> None:
    """
    Once Redis is back, the rate counts again.
    """
    limit = make("1/hour", mortal_redis, timeout_ms=250)
    limit._peer.breaker = Breaker("redis", clock=clock)
    await admitted(limit, 1)
    mortal_redis.hang()
    assert await admitted(limit, 9) == 9
    mortal_redis.wake()
    clock.now += 1
    assert await admitted(limit, 9) == 0


async def test_script_refused(make: Make, mortal_redis: RedisServer) -> None:
    """
    A Redis that allows no scripts lets everybody in.
    """
    mortal_redis.direct.execute_command("ACL", "SETUSER", "default", "-@scripting")
    assert await admitted(make("1/hour", mortal_redis), 5) == 5
