"""
Parts scored by this process, on all cores.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from local.supervisor import Failure
from scoring.job import Job, Part
from scoring.scorer import Scorer
from scoring.tally import Tally

_LANES = 2
"""
Parts at work at once: one is read or written while another computes.
"""


def run(
    job: Job,
    parts: Iterable[tuple[Part, bool]],
    finished: Callable[[Part, Tally], None],
    computed: Callable[[int], None],
) -> float:
    """
    Score parts, and tell of each that is finished, and of texts that are computed.

    Args:
        parts: in order, and whether each was finished before.

    Returns:
        seconds that it took once the model was loaded.

    Raises:
        Failure: a part cannot be scored; those finished are.
    """
    scorer = Scorer(job, threads=job.settings.compute_threads, computed=computed)
    begin = perf_counter()
    asyncio.run(_run(scorer, iter(parts), finished))
    return perf_counter() - begin


async def _run(scorer: Scorer, parts: Iterable[tuple[Part, bool]], finished: Callable[[Part, Tally], None]) -> None:
    async def lane() -> None:
        for part, is_finished in parts:
            if is_finished:
                await scorer.recall(part)
            else:
                finished(part, await scorer.score(part))

    # no more threads than are needed: the C library keeps freed memory for each
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_LANES))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_LANES):
                group.create_task(lane())
    except* Failure as failures:
        raise failures.exceptions[0] from None
    finally:
        await scorer.close()
