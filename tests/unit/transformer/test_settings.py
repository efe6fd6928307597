import pytest
from pydantic import ValidationError

from transformer.settings import TransformerSettings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No setting is set.
    """
    for name in TransformerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_nothing_has_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without any variable, or with empty ones, the transformer has its defaults, and no Redis.
    """
    defaults = TransformerSettings.from_environment()
    assert defaults.redis_url is None
    for name in TransformerSettings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert TransformerSettings.from_environment() == defaults


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("REDIS_URL", "redis://:password@redis:6379/1", "redis://:password@redis:6379/1"),
        ("REDIS_URL", "rediss://redis:6380/0", "rediss://redis:6380/0"),
        ("REDIS_TIMEOUT_MS", "20", "20"),
        ("CACHE_TTL_SECONDS", "1", "1"),
        ("CACHE_TTL_JITTER", "0", "0.0"),
        ("CACHE_TTL_JITTER", "1", "1.0"),
        ("LOCAL_CACHE_BYTES", "0", "0"),
        ("PREDICTOR_TIMEOUT_SECONDS", "0.5", "0.5"),
        ("REVISION_REFRESH_SECONDS", "60", "60.0"),
        ("RATE_LIMIT_KEY", "X-Api-Key", "X-Api-Key"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1", "(IPv4Network('10.0.0.0/8'), IPv6Network('::1/128'))"),
    ],
)
def test_each_setting_is_its_environment_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: str
) -> None:
    """
    A setting is read from the variable of its name in capitals, up to the ends of its range.
    """
    monkeypatch.setenv(name, value)
    assert str(getattr(TransformerSettings.from_environment(), name.lower())) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "s3cr3t"),
        ("REDIS_URL", "http://:s3cr3t@redis"),
        ("REDIS_TIMEOUT_MS", "0"),
        ("REDIS_TIMEOUT_MS", "fast"),
        ("CACHE_TTL_SECONDS", "0"),
        ("CACHE_TTL_SECONDS", "1.5"),
        ("CACHE_TTL_JITTER", "-0.1"),
        ("CACHE_TTL_JITTER", "1.1"),
        ("CACHE_TTL_JITTER", "nan"),
        ("LOCAL_CACHE_BYTES", "-1"),
        ("PREDICTOR_TIMEOUT_SECONDS", "0"),
        ("PREDICTOR_TIMEOUT_SECONDS", "nan"),
        ("REVISION_REFRESH_SECONDS", "-1"),
        ("RATE_LIMIT", "s3cr3t"),
        ("RATE_LIMIT", "100"),
        ("RATE_LIMIT", "0/second"),
        ("RATE_LIMIT", "100/second;1000/hour"),
        ("RATE_LIMIT_KEY", "x api key"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,s3cr3t"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("MAX_TEXTS", "0"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_impossible_value_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """
    An impossible value ends the process with one line that names the variable and not its value.
    """
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        TransformerSettings.from_environment()
    line = str(stopped.value.code)
    assert line.startswith("error: ")
    assert name in line
    assert "\n" not in line
    assert "s3cr3t" not in line


@pytest.mark.parametrize("rate", ["100/second", "5000 per 10 minutes", "1/day"])
def test_rate_limit_needs_redis(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    """
    A rate limit is taken in any of its notations, and without a Redis to count in it stops the start.
    """
    monkeypatch.setenv("RATE_LIMIT", rate)
    with pytest.raises(SystemExit, match=r"error: RATE_LIMIT: .*REDIS_URL"):
        TransformerSettings.from_environment()
    monkeypatch.setenv("REDIS_URL", "redis://redis:6379/0")
    assert TransformerSettings.from_environment().rate_limit == rate


def test_settings_never_change() -> None:
    """
    A setting cannot be set after the start.
    """
    settings = TransformerSettings.from_environment()
    with pytest.raises(ValidationError):
        settings.redis_timeout_ms = 1
