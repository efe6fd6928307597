import json
import logging
from typing import Any

import pytest
import structlog

from serving import logs

pytestmark = pytest.mark.usefixtures("own_logs")


def _written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    return [json.loads(line) for line in err.removesuffix("\n").split("\n")]


@pytest.mark.parametrize(
    "value", ["two\nlines", "ü ☯ \u2028", '"', b"\xff", {1, 2}, {3: 4}, 2**70, float("nan"), "\ud800"], ids=ascii
)
def test_one_line(capsys: pytest.CaptureFixture[str], value: object) -> None:
    """
    Each event is one line of JSON, whatever its fields hold.
    """
    logs.configure("json", "info")
    structlog.get_logger().info("happened", value=value)
    (line,) = _written(capsys)
    assert (line["message"], line["level"]) == ("happened", "info")
    assert {"value", "timestamp"} <= set(line)


@pytest.mark.parametrize("library", [False, True])
def test_exception(capsys: pytest.CaptureFixture[str], library: bool) -> None:
    """
    An exception, ours or a library's, is in its line as a structured traceback.
    """
    logs.configure("json", "info")
    log = logging.getLogger("kserve") if library else structlog.get_logger()
    try:
        {}["broken\nthing"]
    except KeyError:
        log.exception("failed")
    (line,) = _written(capsys)
    (exception,) = line["exception"]
    assert (exception["exc_type"], exception["exc_value"]) == ("KeyError", "'broken\\nthing'")
    assert exception["frames"][-1]["name"] == "test_exception"


@pytest.mark.parametrize("name", ["kserve", "kserve.trace", "uvicorn.access", "httpx", "some.library"])
def test_libraries(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """
    Libraries speak from WARNING on, once, in the same form as we do.
    """
    logs.configure("json", "debug")
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("take %s", "care")
    (line,) = _written(capsys)
    assert (line["message"], line["level"]) == ("take care", "warning")
    assert "timestamp" in line


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_level(capsys: pytest.CaptureFixture[str], level: logs.LogLevel, count: int) -> None:
    """
    Our lines below the level are not written.
    """
    logs.configure("json", level)
    log = structlog.get_logger()
    for speak in (log.debug, log.info, log.warning, log.error):
        speak("happened")
    assert len(_written(capsys)) == count


@pytest.mark.parametrize(("log_format", "is_json"), [("auto", True), ("json", True), ("console", False)])
def test_format(capsys: pytest.CaptureFixture[str], log_format: logs.LogFormat, is_json: bool) -> None:
    """
    Lines are JSON unless a terminal or the setting asks for readable ones.
    """
    logs.configure(log_format, "info")
    structlog.get_logger().info("happened")
    line = capsys.readouterr().err
    assert line.startswith("{") == is_json
    assert "happened" in line
