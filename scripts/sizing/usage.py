"""
What the service's processes have used so far.
"""

import time
from typing import NamedTuple, Self
from urllib.request import urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

from local.servers import Server, Stack


class Usage(NamedTuple):
    """
    Core-seconds by process, bytes over loopback, and what the predictor computed.

    Attributes:
        predictor: its event loop's thread.
        compute: its other threads.
        machine: of all processes together, whoever's.
        computing: seconds that compute threads were in the model, together, whether they had a core or waited for one.
        clock: seconds.
    """

    client: float
    transformer: float
    redis: float
    predictor: float
    compute: float
    machine: float
    bytes: float
    computing: float
    clock: float
    batches: float
    tokens: float

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """
        So far; this process is the client.
        """
        loop, predictor = _loop_seconds(stack.predictor.process), _seconds(stack.predictor.process)
        machine = psutil.cpu_times()
        links, computed = psutil.net_io_counters(pernic=True), metrics(stack.predictor)
        return cls(
            client=time.process_time(),
            transformer=_seconds(stack.transformer.process),
            redis=_seconds(stack.redis.process),
            predictor=loop,
            compute=predictor - loop,
            machine=sum(machine) - machine.idle - getattr(machine, "iowait", 0.0),
            bytes=sum(link.bytes_sent for name, link in links.items() if name.startswith("lo")),
            computing=computed["sentiment_predictor_compute_seconds_total"],
            clock=time.monotonic(),
            batches=computed["sentiment_predictor_batch_texts_count"],
            tokens=computed["sentiment_predictor_batch_tokens_sum"],
        )

    def since(self, before: Self) -> dict[str, float]:
        """
        What was used meanwhile, by name.
        """
        return {name: now - then for name, now, then in zip(self._fields, self, before, strict=True)}


def metrics(server: Server) -> dict[str, float]:
    """
    A service's metrics by name; those with labels are not told apart.
    """
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as response:
        families = text_string_to_metric_families(response.read().decode())
        return {sample.name: sample.value for family in families for sample in family.samples}


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _loop_seconds(process: psutil.Process) -> float:
    """
    Of its first thread, which the event loop runs in.
    """
    return sum(float(each.user_time + each.system_time) for each in process.threads() if each.id == process.pid)
