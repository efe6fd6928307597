"""
How long the predictor takes from its process's start to ready and to its first answer, and the memory it then holds.
"""

import http
import json
import math
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
from safetensors import safe_open

from local.supervisor import free_port

REPEATS = 3
BYTES = {"fp32": 4, "bf16": 2}
# Where a start's time goes, in the predictor's own order, and what a loaded model adds to a process's own memory.
PHASES = """
import json, sys, psutil
from pathlib import Path
from time import perf_counter
times, last = {}, perf_counter()
def end(phase):
    global last
    times[phase], last = perf_counter() - last, perf_counter()
from serving.lean_kserve import import_kserve
from serving import logs
logs.configure("json", "error")
import_kserve()
end("import kserve")
import torch
end("import torch")
import predictor.model, predictor.tokenizer, serving.server
from predictor import artifact, classifier
end("import the rest")
model, mode = Path(sys.argv[1]), sys.argv[2]
opened = artifact.open_artifact(model, numeric_mode=mode)
end("digest")
before = psutil.Process().memory_full_info().uss
loaded = classifier.load(opened, mode)
end("weights")
predictor.tokenizer.TextTokenizer(opened, threads=1)
end("tokenizer")
loaded.classify([[101, 102]])
end("first forward")
print(json.dumps({"phases": times, "model_memory_mib": (psutil.Process().memory_full_info().uss - before) / 2**20}))
"""


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
    model_memory_mib: float
    weights_mib: float
    phases: dict[str, float]

    @property
    def times_weights(self) -> float:
        """
        What loading and a first forward added, in sizes of the weights in their numeric mode.
        """
        return self.model_memory_mib / self.weights_mib


def measure(model: Path, numeric_mode: str) -> Start:
    """
    Start the predictor and the bare imports in turn.
    """
    imports, starts = [], []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import kserve, torch"], check=True)
        imports.append(time.perf_counter() - begin)
        starts.append(_start(model, numeric_mode))
    ready, first, memory, private = (median(column) for column in list(zip(*starts[1:], strict=True)))
    command = [sys.executable, "-c", PHASES, str(model), numeric_mode]
    loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    weights = _weights_mib(model, numeric_mode)
    return Start(median(imports[1:]), ready, first, memory, private, weights_mib=weights, **loaded)


def _weights_mib(model: Path, numeric_mode: str) -> float:
    count = 0
    for file in model.glob("*.safetensors"):
        with safe_open(file, framework="np") as weights:
            count += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return count * BYTES[numeric_mode] / 2**20


def _start(model: Path, numeric_mode: str) -> tuple[float, float, float, float]:
    rest, grpc = free_port(), free_port()
    environment = {
        **os.environ,
        "MODEL_DIR": str(model),
        "NUMERIC_MODE": numeric_mode,
        "DRAIN_SECONDS": "0",
        "LOG_LEVEL": "error",
    }
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
