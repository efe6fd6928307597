"""
Send both services what nobody should send, over REST and gRPC, several at once, and see that nothing suffers.

Every tenth request is a right one, whose answer must be that of the start. A fault is an answer of 5xx, or INTERNAL and
its like over gRPC, none at all or after over 5 s, a refusal of another shape, a process that died, and memory over
1.1 times that of the start, idle both times. What did harm is written to a file, which tests/integration/fuzz_seeds
takes as it is.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from caching.progress import Tell, bar
from fuzzing.case import Case
from fuzzing.client import Client, Vitals
from fuzzing.draw import draw
from fuzzing.verdict import Verdict
from local import servers
from local.supervisor import Failure

BATCH = 500
AT_ONCE = 16
RIGHT_EVERY = 10
WARM_UP_SHARE = 0.1
IDLE_LOOKS = 5
STEADY = 0.99
# Nobody is to be refused for the load, and the cache is full before memory is looked at.
LIMITS = {
    "MAX_WAIT_MS": "60000",
    "MAX_QUEUE_TOKENS": "10000000",
    "PREDICTOR_TIMEOUT_SECONDS": "60",
    "LOCAL_CACHE_BYTES": "1000000",
}


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bodies", type=int, default=50_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: %(default)s)")
    parser.add_argument("--url", action="append", default=[], help="a service that runs already, instead of our own")
    # not --grpc: importing KServe parses the command line, and takes that for the beginning of an option of its own
    parser.add_argument("--target", action="append", default=[], metavar="HOST:PORT", help="where each speaks gRPC")
    parser.add_argument("--hang-seconds", type=float, default=5.0, help="the longest answer (default: %(default)s)")
    parser.add_argument("--no-memory", action="store_true", help="do not judge memory, and so do not warm up for it")
    parser.add_argument(
        "--keep", type=Path, default=Path("reports/fuzz"), help="for what did harm (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args()
    if len(options.url) != len(options.target):
        parser.error("give each --url its --target")
    return options


def main() -> int:
    """
    Send, and judge; return the exit status.
    """
    options = parse_options()
    with contextlib.ExitStack() as stack:
        addresses = list(zip(options.url, options.url, options.target, strict=True)) or stack.enter_context(own_stack())
        drawing = stack.enter_context(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        verdict = asyncio.run(run(options, addresses, drawing))
    verdict.print()
    if options.json:
        options.json.write_text(json.dumps(verdict.figures(), indent=1) + "\n")
    return 1 if verdict.faults() else 0


@contextlib.contextmanager
def own_stack() -> Iterator[list[tuple[str, str, str]]]:
    """
    A stack: name, URL and gRPC's target of each service.
    """
    with servers.stack(**LIMITS) as stack:
        named = (("transformer", stack.transformer), ("predictor", stack.predictor))
        yield [(name, f"http://127.0.0.1:{each.port}", f"127.0.0.1:{each.grpc_port}") for name, each in named]


async def run(options: argparse.Namespace, addresses: list[tuple[str, str, str]], drawing: Executor) -> Verdict:
    """
    Warm up, send everything, and look at the processes before and after.
    """
    verdict = Verdict(
        [name for name, _, _ in addresses],
        seed=options.seed,
        hang_seconds=options.hang_seconds,
        judge_memory=not options.no_memory,
        keep=options.keep,
    )
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    look = Client.vitals if options.no_memory else vitals_when_idle
    async with contextlib.AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(Client(*address)) for address in addresses]
        if not options.no_memory:
            count = round(options.bodies * WARM_UP_SHARE)
            await send(clients, drawn(drawing, f"{options.seed} warm-up", count), count, "warming up", verdict)
        for client in clients:
            verdict.tallies[client.name].before = await look(client)
        cases = drawn(drawing, str(options.seed), options.bodies)
        await send(clients, cases, options.bodies, "sending", verdict)
        for client in clients:
            verdict.tallies[client.name].after = await look(client)
    return verdict


async def drawn(drawing: Executor, seed: str, count: int) -> AsyncIterator[Case]:
    """
    So many cases of a seed; the next ones are drawn while these are sent.
    """
    coming, batch = drawing.submit(draw, BATCH, f"{seed} 0"), 1
    while count > 0:
        cases = await asyncio.wrap_future(coming)
        if len(cases) < count:
            coming, batch = drawing.submit(draw, BATCH, f"{seed} {batch}"), batch + 1
        for case in cases[:count]:
            yield case
        count -= len(cases)


async def send(clients: list[Client], cases: AsyncIterator[Case], count: int, doing: str, verdict: Verdict) -> None:
    """
    Send cases to the services in turn, several at once, with right questions between them.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, case: Case, tell: Tell) -> None:
        client = clients[number % len(clients)]
        try:
            began = time.monotonic()
            verdict.note(client.name, case, await client.ask(case), time.monotonic() - began)
            if number // len(clients) % RIGHT_EVERY == 0:
                began = time.monotonic()
                answer = await client.check(fresh=number // len(clients) % (2 * RIGHT_EVERY) == 0)
                verdict.note(client.name, None, answer, time.monotonic() - began)
        finally:
            room.release()
        tell(advance=1)

    number = 0
    with bar(doing, "bodies", count) as tell:
        async with asyncio.TaskGroup() as group:
            async for case in cases:
                if verdict.hopeless:
                    break
                await room.acquire()
                group.create_task(one(number, case, tell))
                number += 1


async def vitals_when_idle(client: Client) -> Vitals | None:
    """
    What the process is like once its memory has not fallen for a while.
    """
    vitals = await client.vitals()
    looks = 0
    while vitals and looks < IDLE_LOOKS:
        await asyncio.sleep(1)
        last, vitals = vitals, await client.vitals()
        fell = vitals and vitals.resident_mib < STEADY * last.resident_mib
        looks = 0 if fell else looks + 1
    return vitals


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"scripts/fuzz: {failure}")
