"""
How fast the whole service answers, beside a KServe model that computes nothing and beside the predictor's own bench.

The load is k6's. A figure beside KServe is of one server process on one core, k6 on the other, but for the older
services' script, which shares all cores with everything.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import psutil

from benchmark.cores import all_threads
from local import k6, servers
from local.servers import Server

ECHO = Path(__file__).with_name("echo_model.py")
LOAD = Path(__file__).with_name("load.js")
ROUNDS = 4
SECONDS = 4
TEXTS_A_REQUEST = 4
TOKENS_A_TEXT = 22  # 20 common words and the two special tokens


@dataclass(frozen=True)
class Load:
    """
    What k6 saw; only what was answered counts.
    """

    requests_per_second: float
    median_ms: float
    failed: int


@dataclass(frozen=True)
class Ratios:
    """
    The service's requests a second beside the baseline's, each the best of some rounds that take turns.
    """

    local_hits: float
    local_hit_median_ms: float
    redis_hits: float
    repeats: float
    repeats_failed: int
    unseen_with_cache: float
    unseen_of_engine: float
    unseen_refused: int


def measure(model: Path, numeric_mode: str) -> Ratios:
    """
    Start what is compared and load it in turn.
    """
    environment = {"MODEL_DIR": str(model), "NUMERIC_MODE": numeric_mode}
    with contextlib.ExitStack() as processes:
        url = processes.enter_context(servers.redis()).url
        predictor = processes.enter_context(servers.service("predictor", **environment))
        host = ["--predictor_host", f"127.0.0.1:{predictor.port}"]
        whole = processes.enter_context(servers.service("transformer", *host, REDIS_URL=url))
        redis_only = processes.enter_context(
            servers.service("transformer", *host, REDIS_URL=url, LOCAL_CACHE_BYTES="0")
        )
        uncached = processes.enter_context(servers.service("transformer", *host, LOCAL_CACHE_BYTES="0"))
        echo = processes.enter_context(servers.server([str(ECHO)]))
        for server in (whole, redis_only, uncached, echo):
            load(server, "same", 1)
        with _one_core(whole, redis_only, echo):
            local, base, shared = _loads(whole, echo, redis_only, kind="same", core=1)
            [one] = _loads(whole, kind="same", core=1, VUS="1")
        repeats, repeats_base = _loads(whole, echo, kind="repeats")
        cached, bare = _loads(whole, uncached, kind="unseen")
    engine = max(all_threads(model, numeric_mode, TOKENS_A_TEXT) for _ in range(ROUNDS))
    return Ratios(
        local_hits=local.requests_per_second / base.requests_per_second,
        local_hit_median_ms=one.median_ms,
        redis_hits=shared.requests_per_second / base.requests_per_second,
        repeats=repeats.requests_per_second / repeats_base.requests_per_second,
        repeats_failed=repeats.failed,
        unseen_with_cache=cached.requests_per_second / bare.requests_per_second,
        unseen_of_engine=cached.requests_per_second * TEXTS_A_REQUEST / engine,
        unseen_refused=cached.failed + bare.failed,
    )


def _loads(*loaded: Server, kind: str, core: int | None = None, **environment: str) -> list[Load]:
    rounds = [[load(server, kind, SECONDS, core=core, **environment) for server in loaded] for _ in range(ROUNDS)]
    return [_best(loads) for loads in zip(*rounds, strict=True)]


def _best(loads: Sequence[Load]) -> Load:
    best = max(loads, key=attrgetter("requests_per_second"))
    return replace(best, failed=sum(load.failed for load in loads))


def load(server: Server, kind: str, seconds: int, /, *, core: int | None = None, **environment: str) -> Load:
    """
    Load a server for some seconds.

    Args:
        kind, environment: what `load.js` reads.
        core: the only one that k6 may use.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as summary:
        command = [k6.find(), "run", "--quiet", "--summary-export", summary.name, str(LOAD)]
        variables = {"KIND": kind, "URL": f"http://127.0.0.1:{server.port}", "DURATION": f"{seconds}s", **environment}
        process = psutil.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
        if core is not None:
            process.cpu_affinity([core])
        process.wait()
        metrics = json.loads(Path(summary.name).read_bytes())["metrics"]
    times, checks = metrics["http_req_duration"], metrics["checks"]
    answered = metrics["http_reqs"]["rate"] * checks["value"]
    return Load(answered, times["med"], checks["fails"])


@contextlib.contextmanager
def _one_core(*kept: Server) -> Iterator[None]:
    """
    Keep servers on the first core.
    """
    cores = psutil.Process().cpu_affinity()
    for server in kept:
        server.process.cpu_affinity([0])
    yield
    for server in kept:
        server.process.cpu_affinity(cores)
