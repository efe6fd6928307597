import pytest
from pydantic import ValidationError

from serving.settings import ServingSettings, flag_parser


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BODY_BYTES", "0"),
        ("MAX_BODY_BYTES", "4MiB"),
        ("MAX_TEXTS", "-1"),
        ("MAX_TEXTS", "1.5"),
        ("MAX_REQUESTS_IN_FLIGHT", "0"),
        ("RECEIVE_TIMEOUT_SECONDS", "0"),
        ("RECEIVE_TIMEOUT_SECONDS", "inf"),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "nan"),
        ("DRAIN_SECONDS", "inf"),
        ("GRACE_SECONDS", "0"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_impossible(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """
    An impossible value ends the process with one line that names the variable.
    """
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        ServingSettings.from_environment()
    message = str(caught.value)
    assert message.startswith(f"error: {name}: ")
    assert "\n" not in message


def test_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Several impossible values are named together, still in one line.
    """
    monkeypatch.setenv("MAX_TEXTS", "0")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SystemExit, match=r"^error: MAX_TEXTS: .*; LOG_LEVEL: [^\n]*$"):
        ServingSettings.from_environment()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("MAX_BODY_BYTES", "10", 10), ("MAX_TEXTS", "1", 1), ("DRAIN_SECONDS", "0", 0.0), ("LOG_FORMAT", "json", "json")],
)
def test_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: object) -> None:
    """
    Each setting is the environment variable of its name in capitals.
    """
    monkeypatch.setenv(name, value)
    assert getattr(ServingSettings.from_environment(), name.lower()) == expected


def test_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A variable that is set to nothing leaves the default.
    """
    monkeypatch.setenv("MAX_TEXTS", "")
    assert ServingSettings.from_environment().max_texts == 4096


def test_frozen() -> None:
    """
    Settings do not change once they are read.
    """
    with pytest.raises(ValidationError, match="frozen"):
        ServingSettings().max_texts = 5


def test_pod_grace() -> None:
    """
    The defaults of draining and finishing fit in the 30 seconds that a pod has.
    """
    settings = ServingSettings()
    assert settings.drain_seconds + settings.grace_seconds < 30


def test_flags() -> None:
    """
    The flags that KServe's controller passes are understood, and each has a default.
    """
    parser = flag_parser("predictor", http_port=8090, grpc_port=8091)
    default = parser.parse_args([])
    assert (default.http_port, default.grpc_port, default.model_name) == (8090, 8091, "sentiment")
    passed = parser.parse_args(["--model_name=m", "--http_port=1", "--grpc_port", "2", "--workers=1"])
    assert (passed.http_port, passed.grpc_port, passed.model_name) == (1, 2, "m")


@pytest.mark.parametrize("flag", ["--workers=2", "--http_port=x", "--unknown=1", "--model=m"])
def test_wrong_flags(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Several workers, an impossible value, an unknown and an abbreviated flag end the process with usage.
    """
    with pytest.raises(SystemExit) as caught:
        flag_parser("predictor", http_port=8090, grpc_port=8091).parse_args([flag])
    assert caught.value.code == 2
    assert flag.partition("=")[0] in capsys.readouterr().err.splitlines()[-1]
