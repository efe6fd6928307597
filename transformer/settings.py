"""
What the transformer is told from outside, and why each default is what it is.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from serving.settings import PositiveInt, Seconds, ServingSettings
from transformer import redis_url


def _check_redis_url(url: str) -> str:
    try:
        redis_url.connect(url, timeout_seconds=1)
    except Exception as error:  # noqa: BLE001  # redis-py raises what it likes for an odd parameter
        raise ValueError(f"not a URL that redis-py understands: {error}") from None
    return url


def _check_rate(rate: str) -> str:
    from limits import parse_many  # noqa: PLC0415  # 0.1 s of imports that only a rate limit needs

    try:
        [limit] = parse_many(rate)
    except ValueError:
        limit = None
    if limit is None or limit.amount < 1:
        raise ValueError("must be one rate above zero, like 100/second")
    return rate


def _split(networks: Any) -> Any:
    return [network.strip() for network in networks.split(",")] if isinstance(networks, str) else networks


_HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


class TransformerSettings(ServingSettings):
    """
    Settings of the transformer; each is the environment variable of the same name in capitals.
    """

    redis_url: Annotated[str, AfterValidator(_check_redis_url)] | None = None
    """
    Redis to share answers through, as redis-py's URL, or `redis+cluster://` or `redis+sentinel://`, see
    `transformer.redis_url`; without one, only this process's own cache is used.
    """

    redis_timeout_ms: PositiveInt = 50
    """
    Longest wait for Redis, milliseconds. A round trip takes under 1 ms; computing a text takes 5 to 20.
    """

    cache_ttl_seconds: PositiveInt = 3600
    """
    How long an answer is kept. Answers of one revision never change, so this bounds memory and not truth.
    """

    cache_ttl_jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    """
    Share of the TTL added at random, so that answers stored together do not expire together.
    """

    local_cache_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """
    Memory of the in-process cache; 0 switches it off. 64 MiB holds about 70,000 texts of two labels, of any length.
    """

    predictor_timeout_seconds: Seconds = 10.0
    """
    Longest wait for the predictor, for all that a whole request asks of it; its body has arrived by then.
    """

    revision_refresh_seconds: Seconds = 5.0
    """
    How old the knowledge of the predictor's revision may be: after a rollout old answers are served for this long.
    """

    rate_limit: Annotated[str, AfterValidator(_check_rate)] | None = None
    """
    Most requests of one client, as `100/second` or `5000 per 10 minutes`; off by default, since what is fair only the
    operator knows. Counted in Redis for all replicas together; while Redis is away nobody is refused.
    """

    rate_limit_key: Annotated[str, Field(pattern=_HEADER_NAME)] | None = None
    """
    Header that names the client; without one, or where a request has none, it is the client's address. It must be one
    that a gateway sets: a client that may choose its name has no limit.
    """

    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split)] = ()
    """
    Networks of the proxies in front, as `10.0.0.0/8,fd00::/8`: the client is then the last address in
    `X-Forwarded-For` that is not theirs. None by default: anybody can send that header. Behind Knative the nearest one
    is its queue-proxy, 127.0.0.1.
    """

    @property
    def longest_work_seconds(self) -> float:
        """
        All that a request may wait for: the predictor.
        """
        return self.predictor_timeout_seconds

    @field_validator("rate_limit")
    @classmethod
    def _check_redis_is_there(cls, rate: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("redis_url", "wrong, and told already")
        if rate and url is None:
            raise ValueError("needs REDIS_URL: replicas that count alone would allow as many times the rate")
        if rate and "+cluster" in url:
            raise ValueError("needs a REDIS_URL that is no cluster; sentinels will do")
        return rate
