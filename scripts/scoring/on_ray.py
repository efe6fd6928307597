"""
Parts scored by a Ray cluster: Ray Data's actors, one on each core.

A part goes to whichever actor is free, and comes back as its counts: its rows are read and written where it is scored,
so that input and output must be reachable from every node. A part that is lost with its actor is scored again.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import ray
import ray.data
from ray.exceptions import RayError

from local.supervisor import Failure
from scoring.job import Job, Part
from scoring.scorer import Scorer
from scoring.tally import Tally

_CONNECT_SECONDS = 5
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
"""
The least that Ray takes: what it carries are a part's counts.
"""


class Actor:
    """
    One core of the cluster.
    """

    def __init__(self, job: Job, parts: Sequence[Part]) -> None:
        self._job = job
        self._parts = parts
        self._loop = asyncio.new_event_loop()
        self._scorer: Scorer | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """
        Score the part of a position.
        """
        [position] = batch["item"]
        try:
            # not before, where what fails is told as an actor's end and tried again
            self._scorer = self._scorer or Scorer(self._job, threads=1, computed=lambda _texts: None)
            tally = self._loop.run_until_complete(self._scorer.score(self._parts[position]))
            outcome: dict[str, Any] = {"tally": tally.to_json()}
        except Failure as failure:  # known here by its class, which an error of Ray's hides
            outcome = {"failure": str(failure)}
        return {"position": np.array([position]), "outcome": np.array([json.dumps(outcome)])}


def run(job: Job, parts: Sequence[Part], finished: Callable[[Part, Tally], None], address: str) -> float:
    """
    Score parts, and tell of each that is finished.

    Args:
        address: the cluster's, or `local` for one that lives as long as this.

    Returns:
        seconds that it took once the cluster was there.

    Raises:
        Failure: there is no such cluster, or it or a part fails; those finished are.
    """
    _connect(job, address)
    begin = perf_counter()
    try:
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        ray.data.DataContext.get_current().enable_progress_bars = False
        cluster: Any = ray  # typed in part
        cores = max(1, int(cluster.cluster_resources().get("CPU", 1)))
        positions = ray.data.from_items(list(range(len(parts))), override_num_blocks=len(parts))
        scored = positions.map_batches(
            Actor,
            fn_constructor_args=(job, parts),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(cores, len(parts))),
            num_cpus=1,
        )
        for row in scored.iter_rows():
            outcome = json.loads(row["outcome"])
            if "failure" in outcome:
                raise Failure(outcome["failure"])
            finished(parts[row["position"]], Tally.from_json(outcome["tally"]))
        return perf_counter() - begin
    except RayError as error:
        raise Failure(f"--ray {address}: {str(error).rstrip().rpartition(chr(10))[2]}") from None
    finally:
        ray.shutdown()


def _connect(job: Job, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address == "local":
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # loopback only
        ray.init(
            "local",  # without, Ray would join what else runs here
            num_cpus=job.settings.compute_threads,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            **quiet,
        )
        return
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if port.isdecimal():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise Failure(f"--ray {address}: {str(error).partition(chr(10))[0]}; is the cluster up?") from None
