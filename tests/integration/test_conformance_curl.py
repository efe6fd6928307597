"""
curl, as a person types it, against both services.
"""

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance import LABELS, MODEL, TEXTS, raw
from processes import Service

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")

PREDICT = f"/v1/models/{MODEL}:predict"
INFER = f"/v2/models/{MODEL}/infer"
TENSOR = {"name": "text", "shape": [2], "datatype": "BYTES"}
BINARY = json.dumps({"inputs": [TENSOR | {"parameters": {"binary_data_size": len(raw(TEXTS))}}]}).encode()


def curl(service: Service, path: str, *options: str) -> tuple[int, Any]:
    """
    The status and the JSON of one call.
    """
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *options, service.url + path]
    body, status = subprocess.run(command, check=True, capture_output=True, text=True).stdout.rsplit("\n", 1)
    return int(status), json.loads(body) if body else None


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--header", "content-type: application/json"],
        ["--header", "content-type:"],
        ["--header", "transfer-encoding: chunked"],
        ["--header", "expect: 100-continue"],
        ["--http1.0"],
        ["--compressed"],
    ],
    ids=" ".join,
)
def test_data(service: Service, options: list[str]) -> None:
    """
    JSON on the command line is answered, in v1 and v2, whatever curl says of it.
    """
    status, answer = curl(service, PREDICT, "--data", json.dumps({"instances": TEXTS}), *options)
    assert (status, [pairs[0]["label"] for pairs in answer["predictions"]]) == (200, LABELS)
    status, answer = curl(service, INFER, "--data", json.dumps({"inputs": [TENSOR | {"data": TEXTS}]}), *options)
    assert (status, answer["outputs"][1]["data"]) == (200, LABELS)


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (gzip.compress(json.dumps({"inputs": [TENSOR | {"data": TEXTS}]}).encode()), "content-encoding: gzip"),
        (BINARY + raw(TEXTS), f"inference-header-content-length: {len(BINARY)}"),
    ],
    ids=["gzip", "binary"],
)
def test_file(service: Service, tmp_path: Path, content: bytes, header: str) -> None:
    """
    A file of bytes is answered: JSON in gzip, and JSON with tensors behind it.
    """
    file = tmp_path / "body"
    file.write_bytes(content)
    status, answer = curl(service, INFER, "--data-binary", f"@{file}", "--header", header)
    assert (status, answer["outputs"][1]["data"]) == (200, LABELS)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/", "status"),
        ("/v1/models", "models"),
        (f"/v1/models/{MODEL}", "ready"),
        ("/v2", "version"),
        ("/v2/", "version"),
        ("/v2/health/live", "live"),
        ("/v2/health/ready", "ready"),
        ("/v2/models", "models"),
        (f"/v2/models/{MODEL}", "versions"),
        (f"/v2/models/{MODEL}/ready", "ready"),
    ],
)
def test_get(service: Service, path: str, key: str) -> None:
    """
    Every other route of the protocols answers a plain GET.
    """
    status, answer = curl(service, path)
    assert (status, bool(answer[key])) == (200, True)


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        (INFER, ["--data", "{"], 400),
        (INFER, ["--data", "{}"], 400),
        (INFER, [], 405),
        ("/v2/models/other/infer", ["--data", "{}"], 404),
        ("/v2/models/other", [], 404),
        ("/v2/repository/index", ["--data", "{}"], 404),
        (f"/v2/repository/models/{MODEL}/unload", ["--data", "{}"], 403),
    ],
)
def test_errors(service: Service, path: str, options: list[str], expected: int) -> None:
    """
    An error is a status and JSON that says what is wrong.
    """
    status, answer = curl(service, path, *options)
    assert (status, set(answer)) == (expected, {"error", "error_type"})
