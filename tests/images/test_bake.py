import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from predictor.settings import EMBEDDED_MODEL
from processes import ROOT

FILES = {
    "README.md": b"a card",
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"the same weights, as a pickle",
}
DIGEST = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """
    The Hugging Face hub, as far as a download asks it.
    """

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == f"/api/models/owner/name/tree/{COMMIT}":
            entries = [{"type": "file", "path": name, "size": len(c), "oid": "0"} for name, c in FILES.items()]
            self._answer(json.dumps(entries).encode())
        elif path.startswith(f"/owner/name/resolve/{COMMIT}/"):
            self._answer(FILES[path.rpartition("/")[2]])
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.send_header("etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("x-repo-commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """
    The address of a hub.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def bake(model: str, digest: str, target: Path, hub: str = "") -> "subprocess.CompletedProcess[str]":
    """
    Run what Dockerfile.predictor runs.
    """
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "image" / "bake.py", model, digest, target],
        cwd=ROOT,
        env={"HF_ENDPOINT": hub, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_embedded_model(tmp_path: Path) -> None:
    """
    A folder of models/ is baked as it is, but for what the predictor does not read.
    """
    target = tmp_path / "model"
    with (EMBEDDED_MODEL / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    assert bake(EMBEDDED_MODEL.name, digest, target).returncode == 0
    for file in target.iterdir():
        assert file.read_bytes() == (EMBEDDED_MODEL / file.name).read_bytes()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in target.iterdir()}


def test_model_of_the_hub(hub: str, tmp_path: Path) -> None:
    """
    A model of the hub is fetched at its commit, the predictor's files alone.
    """
    target = tmp_path / "model"
    result = bake(f"owner/name@{COMMIT}", DIGEST, target, hub)
    assert result.returncode == 0, result.stderr
    assert {file.name: file.read_bytes() for file in target.iterdir()} == {
        name: content for name, content in FILES.items() if name != "pytorch_model.bin"
    }


@pytest.mark.parametrize(
    ("model", "digest", "words"),
    [
        (f"owner/name@{COMMIT}", DIGEST[::-1], DIGEST),
        (f"owner/name@{COMMIT}", "", "nothing"),
        (EMBEDDED_MODEL.name, DIGEST, DIGEST),
        ("owner/name", DIGEST, "needs a commit"),
        ("owner/name@main", DIGEST, "needs a commit"),
        (f"owner/other@{COMMIT}", DIGEST, "the hub does not give"),
        ("nothing", DIGEST, "no model.safetensors"),
    ],
)
def test_refusals(hub: str, tmp_path: Path, model: str, digest: str, words: str) -> None:
    """
    Weights of another digest, a revision that can move, and a model that is not there are refused in one line.
    """
    target = tmp_path / "model"
    result = bake(model, digest, target, hub)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr
    assert not target.exists()
