from decimal import Decimal

import pytest
import redis

from processes import Redis

from .pods import Container, pods_of
from .rendered import Form
from .test_pods import environment, quantity

REDIS = "sentiment-redis"


def redis_of() -> Container:
    """
    The Redis of the base, which every form has, unless its Redis is elsewhere.
    """
    [container] = [container for pod in pods_of(Form("base")) if pod.host == REDIS for container in pod.containers]
    return container


def option(name: str) -> str:
    """
    What follows a flag.
    """
    args: list[str] = redis_of().spec["args"]
    return args[args.index(name) + 1]


def maxmemory() -> Decimal:
    """
    What Redis keeps at most, bytes.
    """
    return quantity(option("--maxmemory").replace("mb", "Mi"))


def test_same_everywhere(form: Form) -> None:
    """
    Every form has the base's Redis, or none.
    """
    found = [container.spec for pod in pods_of(form) if pod.host == REDIS for container in pod.containers]
    assert {tuple(spec["args"]) for spec in found} <= {tuple(redis_of().spec["args"])}


def test_memory() -> None:
    """
    Redis forgets what was asked longest ago while there is still a fifth of its memory left.
    """
    assert option("--maxmemory-policy") == "allkeys-lru"
    assert maxmemory() <= quantity(redis_of().spec["resources"]["limits"]["memory"]) * 4 / 5


def test_no_persistence() -> None:
    """
    Redis writes nothing to a disk.
    """
    assert (option("--save"), option("--appendonly")) == ("", "no")


def test_runs() -> None:
    """
    A real Redis starts with these arguments, does what they say, and answers nobody without the password.
    """
    command, *args = [arg.replace("$(REDISCLI_AUTH)", "right") for arg in redis_of().spec["args"]]
    server = Redis()
    assert command == "redis-server"
    server.command[1:] = [*args, "--port", str(server.port), "--bind", "127.0.0.1"]
    with server, redis.from_url(f"redis://:right@127.0.0.1:{server.port}", decode_responses=True) as client:
        assert client.config_get("maxmemory")["maxmemory"] == str(maxmemory())
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"
        assert client.config_get("save")["save"] == ""
        with redis.from_url(server.url) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_password() -> None:
    """
    Redis asks for the password of the Secret, and its probes give it.
    """
    assert option("--requirepass") == "$(REDISCLI_AUTH)"
    assert set(environment(redis_of())) == {"REDISCLI_AUTH"}
    assert all(probe["exec"]["command"] == ["redis-cli", "-e", "ping"] for probe in redis_of().probes.values())
