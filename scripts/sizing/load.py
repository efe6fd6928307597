"""
A real load on the service, from this process.
"""

import asyncio
import random
from collections.abc import Iterator
from http import HTTPStatus

import uvloop

from fault.client import PREDICT, Client, post
from local.servers import Stack
from sizing.outcome import Load, Outcome
from sizing.usage import Usage

_TIMEOUT_SECONDS = 30


def play(stack: Stack, load: Load, requests: Iterator[list[str]]) -> Outcome:
    """
    Send requests for these texts and wait for every answer.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Played(stack, load, requests).run())


class _Played:
    def __init__(self, stack: Stack, load: Load, requests: Iterator[list[str]]) -> None:
        self._stack = stack
        self._load = load
        self._requests = requests
        self._client = Client(stack.transformer.port)
        self._outcome = Outcome(load.seconds)

    async def run(self) -> Outcome:
        self._began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            if self._load.rate is None:
                for _ in range(self._load.clients):
                    tasks.create_task(self._ask_again_and_again())
            else:
                tasks.create_task(self._arrive(tasks, self._load.rate))
        self._client.close()
        return self._outcome

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def _watch(self) -> None:
        await asyncio.sleep(self._load.warm_up_seconds)
        before = await asyncio.to_thread(Usage.of, self._stack)
        await asyncio.sleep(self._load.end - self._now())
        self._outcome.used = (await asyncio.to_thread(Usage.of, self._stack)).since(before)

    async def _arrive(self, tasks: asyncio.TaskGroup, rate: float) -> None:
        chance, due = random.Random(), 0.0  # noqa: S311  # no secret
        while (due := due + chance.expovariate(rate)) < self._load.end:
            if (early := due - self._now()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(self._ask(due))

    async def _ask_again_and_again(self) -> None:
        while self._now() < self._load.end:
            await self._ask(self._now())

    async def _ask(self, due: float) -> None:
        texts = next(self._requests)
        status, hits = await self._answer(texts)
        if not self._load.counts(due):
            return
        if status == HTTPStatus.OK:
            self._outcome.answered(self._now() - due, texts=len(texts), hits=hits)
        else:
            self._outcome.others[status] += 1

    async def _answer(self, texts: list[str]) -> tuple[int, int]:
        """
        Status, 0 where there was no answer, and how many of the texts a cache knew.
        """
        try:
            response = await self._client.ask(post(PREDICT, {"text": texts}), timeout_seconds=_TIMEOUT_SECONDS)
        except OSError:
            return 0, 0
        return response.status, int(response.headers.get("x-cache-hits", "0").partition("/")[0])
