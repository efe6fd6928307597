"""
What metrics cost: a hit, beside the same process while it counts nothing, and a scrape.

Of a round's halves now one comes first, now the other, since the machine's pace changes. Processor time a request is
steadier than requests a second.
"""

import contextlib
import signal
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmark.service import load
from local import servers
from local.servers import Server

SWITCHED = Path(__file__).with_name("switched.py")
ROUNDS = 16
SECONDS = 4
SCRAPES = 20


@dataclass(frozen=True)
class Half:
    """
    What one half of a round saw.
    """

    requests_per_second: float
    cpu_seconds: float


@dataclass(frozen=True)
class Scrape:
    """
    What a service tells Prometheus once it was under load; the median of some times.
    """

    service: str
    kib: float
    ms: float


@dataclass(frozen=True)
class Cost:
    """
    With metrics beside without: quartiles of the rounds.
    """

    requests: list[float]
    cpu: list[float]
    cpu_us: float
    scrapes: tuple[Scrape, ...]


def measure(model: Path, numeric_mode: str) -> Cost:
    """
    Load hits of the process with and without counting, in turn, and scrape both services.
    """
    with contextlib.ExitStack() as processes:
        url = processes.enter_context(servers.redis()).url
        predictor = processes.enter_context(
            servers.service("predictor", MODEL_DIR=str(model), NUMERIC_MODE=numeric_mode)
        )
        flags = ["--predictor_host", f"127.0.0.1:{predictor.port}"]
        environment = {"REDIS_URL": url, "LOG_LEVEL": "error", "DRAIN_SECONDS": "0"}
        transformer = processes.enter_context(servers.server([str(SWITCHED)], *flags, **environment))
        load(transformer, "unseen", 1)
        transformer.process.cpu_affinity([0])
        load(transformer, "same", 1, core=1)
        rounds = [_round(transformer, first=bool(number % 2)) for number in range(ROUNDS)]
        scrapes = (_scrape("transformer", transformer), _scrape("predictor", predictor))
    return Cost(
        requests=quantiles(on.requests_per_second / off.requests_per_second for on, off in rounds),
        cpu=quantiles(on.cpu_seconds / off.cpu_seconds for on, off in rounds),
        cpu_us=median(on.cpu_seconds for on, _ in rounds) * 1e6,
        scrapes=scrapes,
    )


def _round(server: Server, *, first: bool) -> tuple[Half, Half]:
    """
    Load it with counting, and without.
    """
    halves = {counting: _half(server, counting=counting) for counting in (first, not first)}
    return halves[True], halves[False]


def _half(server: Server, *, counting: bool) -> Half:
    server.process.send_signal(signal.SIGUSR1 if counting else signal.SIGUSR2)
    before = server.process.cpu_times()
    seen = load(server, "same", SECONDS, core=1)
    after = server.process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return Half(seen.requests_per_second, used / (seen.requests_per_second * SECONDS))


def _scrape(name: str, server: Server) -> Scrape:
    times, size = [], 0
    for _ in range(SCRAPES):
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            size = len(answer.read())
        times.append(time.perf_counter() - began)
    return Scrape(name, size / 1024, median(times) * 1e3)
