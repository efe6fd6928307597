"""
How long the predictor takes from its process's start to ready and to its first answer, and the memory it then holds.
"""

import http
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from supervisor import free_port

REPEATS = 3


@dataclass(frozen=True)
class Start:
    """
    Seconds, medians of a few starts with the files cached; memory once ready.
    """

    import_kserve_torch_seconds: float
    ready_seconds: float
    first_answer_seconds: float
    memory_mib: float
    private_memory_mib: float
    weights_mib: float


def measure(model: Path) -> Start:
    """
    Start the predictor and the bare imports in turn.
    """
    imports, starts = [], []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import kserve, torch"], check=True)
        imports.append(time.perf_counter() - begin)
        starts.append(_start(model))
    ready, first, memory, private = (median(column) for column in list(zip(*starts[1:], strict=True)))
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors")) / 2**20
    return Start(median(imports[1:]), ready, first, memory, private, weights)


def _start(model: Path) -> tuple[float, float, float, float]:
    rest, grpc = free_port(), free_port()
    environment = {**os.environ, "MODEL_DIR": str(model), "DRAIN_SECONDS": "0", "LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "predictor", "--http_port", str(rest), "--grpc_port", str(grpc)]
    begin = time.perf_counter()
    with subprocess.Popen(command, env=environment) as process:
        while not _ask(f"http://127.0.0.1:{rest}/v2/health/ready"):
            if process.poll() is not None:
                raise SystemExit("the predictor did not start; its own lines above say why")
            time.sleep(0.005)
        ready = time.perf_counter() - begin
        _ask(f"http://127.0.0.1:{rest}/v1/models/sentiment:predict", json.dumps({"text": "first"}).encode())
        first = time.perf_counter() - begin
        memory = psutil.Process(process.pid).memory_full_info()
        process.send_signal(signal.SIGTERM)
    return ready, first, memory.rss / 2**20, memory.uss / 2**20


def _ask(url: str, body: bytes | None = None) -> bool:
    try:
        with urllib.request.urlopen(url, body) as response:  # noqa: S310  # our own process
            return bool(response.status == http.HTTPStatus.OK)
    except (urllib.error.URLError, ConnectionError):
        return False
