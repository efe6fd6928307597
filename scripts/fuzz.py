"""
Send both services what nobody should send, over REST and gRPC, several at once, and see that nothing suffers.

Each tenth request is a right one, whose answer must be right. It fails where an answer is a 5xx, or INTERNAL or UNKNOWN
over gRPC, where one takes over 5 s, where a right request has no right answer, or where the services, idle again, hold
over 10 % more memory than at the start. What failed is printed as it was sent.
"""

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.progress import Progress

import servers
from fuzz_cases import CASES, MESSAGES, Case
from servers import Server

SLOWEST_SECONDS = 5.0
MOST_MEMORY = 1.1
WARM_UP_BODIES = 400
RIGHT_EVERY = 10
RIGHT = Case("/v1/models/sentiment:predict", {}, b'{"text": ["I love it"]}')
WRONG_CODES = {grpc.StatusCode.INTERNAL.name, grpc.StatusCode.UNKNOWN.name}
METHOD = "/inference.GRPCInferenceService/ModelInfer"
REPORT_EVERY = 50
# A loopback client must not run into limits that are there for others.
LIMITS = {"MAX_WAIT_MS": "60000", "PREDICTOR_TIMEOUT_SECONDS": "60"}


def main() -> int:
    """
    Start the stack, send, and judge.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bodies", type=int, default=50_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: %(default)s)")
    parser.add_argument("--no-memory", action="store_true", help="do not judge memory, as after few bodies")
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        send(options.client[0], int(options.client[1]), options.bodies, options.seed)
        return 0
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(servers.redis())
        predictor = stack.enter_context(servers.service("predictor", **LIMITS))
        host = ["--predictor_host", f"127.0.0.1:{predictor.port}"]
        transformer = stack.enter_context(servers.service("transformer", *host, REDIS_URL=url, **LIMITS))
        both = [predictor, transformer]
        play(both, WARM_UP_BODIES, options.seed + 1000)
        before = [memory(server) for server in both]
        seen, failures = play(both, options.bodies, options.seed)
        after = [memory(server) for server in both]
    print(f"{sum(seen.values())} bodies, seed {options.seed}: {dict(sorted(seen.items()))}")
    for name, first, last in zip(("predictor", "transformer"), before, after, strict=True):
        print(f"{name}: {first:.0f} MiB before, {last:.0f} MiB after ({last / first:.2f}x)")
        if last > MOST_MEMORY * first and not options.no_memory:
            failures.append(f"{name} holds more memory")
    for failure in failures:
        print(f"FAILED: {failure}")
    return bool(failures)


def play(both: list[Server], bodies: int, first_seed: int) -> tuple[Counter[str], list[str]]:
    """
    Send bodies to both services, a client for each protocol of each.
    """
    targets = [(kind, port) for server in both for kind, port in (("rest", server.port), ("grpc", server.grpc_port))]
    share = str(bodies // len(targets))
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--client", kind, str(port), "--bodies", share, "--seed", str(first_seed + n)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n, (kind, port) in enumerate(targets)
    ]
    seen: Counter[str] = Counter()
    failures: list[str] = []
    with Progress(disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(f"{bodies} bodies", total=bodies)
        for worker in workers:
            for line in worker.stdout or ():
                report = json.loads(line)
                seen.update(report["seen"])
                failures += report["failures"]
                progress.update(bar, completed=sum(seen.values()))
            if worker.wait():
                failures.append("a client of ours ended early; its own lines above say why")
    return seen, failures


def send(kind: str, port: int, bodies: int, number: int) -> None:
    """
    Send bodies one after the other and report on them a line at a time.
    """
    strategy, ask = (CASES, rest(port)) if kind == "rest" else (MESSAGES, over_grpc(port))
    right = rest_right(port) if kind == "rest" else None
    seen: Counter[str] = Counter()
    failures: list[str] = []
    sent = 0

    def report() -> None:
        print(json.dumps({"seen": seen, "failures": failures}), flush=True)
        seen.clear()
        failures.clear()

    @seed(number)
    @settings(
        max_examples=bodies,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def play_one(case: Any) -> None:  # noqa: ANN401  # of either protocol
        nonlocal sent
        sent += 1
        began = time.perf_counter()
        status = ask(case)
        seconds = time.perf_counter() - began
        seen[status] += 1
        if status.startswith("5") or status in WRONG_CODES or seconds > SLOWEST_SECONDS:
            failures.append(f"{status} after {seconds:.2f} s: {case!r}")
        if right and sent % RIGHT_EVERY == 0 and not right():
            failures.append(f"a right request had no right answer after {case!r}")
        if sent % REPORT_EVERY == 0:
            report()

    play_one()
    report()


def rest(port: int) -> Callable[[Case], str]:
    """
    Asks over REST; the status.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10 * SLOWEST_SECONDS)

    def ask(case: Case) -> str:
        for attempt in range(2):
            try:
                connection.request("POST", case.path, case.body, dict(case.headers))
                response = connection.getresponse()
                response.read()
                return str(response.status)
            except (http.client.HTTPException, ConnectionError):
                connection.close()  # the server may have closed it after the answer before
                if attempt:
                    raise
        raise AssertionError

    return ask


def rest_right(port: int) -> Callable[[], bool]:
    """
    Asks a right question; whether its answer is right.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10 * SLOWEST_SECONDS)

    def right() -> bool:
        connection.request("POST", RIGHT.path, RIGHT.body)
        response = connection.getresponse()
        best = json.loads(response.read()).get("predictions", [[{}]])[0][0]
        return response.status == http.client.OK and best.get("label") == "POSITIVE"

    return right


def over_grpc(port: int) -> Callable[[bytes], str]:
    """
    Asks over gRPC; the code's name.
    """
    call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(METHOD)

    def ask(message: bytes) -> str:
        try:
            call(message, timeout=10 * SLOWEST_SECONDS)
        except grpc.RpcError as error:
            return str(error.code().name)
        return str(grpc.StatusCode.OK.name)

    return ask


def memory(server: Server) -> float:
    """
    Resident MiB, once idle.
    """
    process = psutil.Process(server.process.pid)
    while process.cpu_percent(interval=1) > 10:  # noqa: PLR2004  # percent: no more than its timers
        pass
    return float(process.memory_info().rss / 2**20)


if __name__ == "__main__":
    sys.exit(main())
