"""
Clients who come when they please: requests at random times (Poisson), whether or not those before are answered.

A request is timed from when it was due, so that a service that stands still is seen to stand still.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from fault.client import PREDICT, Client, Response, post
from fault.outcome import NO_ANSWER, Outcome
from fault.texts import Texts

_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_LEAVE_WITHIN_SECONDS = 0.03
_NEW_SHARE = _SHARED_SHARE = 0.25
_CACHED_SHARE = 0.5


class Question(NamedTuple):
    """
    A request's texts, and whether the cache knew all of them when it was made.
    """

    texts: list[str]
    cached: bool


Mix = Callable[[Texts], Question]


def mixed(texts: Texts) -> Question:
    """
    Half of the requests ask for texts known to all, a quarter also for one that Redis knows, a quarter for a new one.
    """
    kind, asked = random.random(), random.sample(texts.hot, 2)
    if kind < _NEW_SHARE:
        return Question([*asked, texts.unseen()], cached=False)
    if kind < _NEW_SHARE + _SHARED_SHARE and (shared := next(texts.shared, None)):
        return Question([*asked, shared], cached=True)
    return Question([*asked, random.choice(texts.hot)], cached=True)


def crowding(texts: Texts) -> Question:
    """
    Half of the requests ask for what is known to all, half for four new texts of 20 words.
    """
    if random.random() < _CACHED_SHARE:
        return Question(random.sample(texts.hot, 3), cached=True)
    return Question([texts.unseen(long=True) for _ in range(4)], cached=False)


@dataclass
class Load:
    """
    Requests, and what became of them.

    Attributes:
        leaving: share of the requests whose clients leave in the middle.
        left: how many did.
    """

    client: Client
    texts: Texts
    timeout_seconds: float
    leaving: float = 0
    outcomes: list[Outcome] = field(default_factory=list)
    left: int = 0
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _broken: list[BaseException] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self, rate: float, mix: Mix) -> AsyncIterator[None]:
        """
        Send requests meanwhile; at the end all are answered.
        """
        arrivals = asyncio.create_task(self._arrive(rate, mix))
        try:
            yield
        finally:
            arrivals.cancel()
            await asyncio.wait([arrivals])
            if not arrivals.cancelled():
                arrivals.result()
            while self._tasks:
                await asyncio.wait(self._tasks)
        if self._broken:
            raise self._broken[0]

    async def ask(self, question: Question, due: float) -> None:
        """
        Send one request, and note what becomes of it.
        """
        texts, cached = question
        loop = asyncio.get_running_loop()
        try:
            response = await self.client.ask(post(PREDICT, {"text": texts}), timeout_seconds=self.timeout_seconds)
        except OSError as error:
            self.outcomes.append(Outcome(due, loop.time() - due, NO_ANSWER, cached, fault=type(error).__name__))
            return
        told = response.headers
        outcome = Outcome(
            due,
            loop.time() - due,
            response.status,
            cached,
            revision=told.get("x-model-revision", ""),
            fault=self._fault_of(texts, response),
            texts=len(texts),
            hits=int(told.get("x-cache-hits", "0/0").partition("/")[0]),
            request_id=told.get("x-request-id", ""),
        )
        self.outcomes.append(outcome)

    def _fault_of(self, texts: list[str], response: Response) -> str | None:
        if response.status == HTTPStatus.OK:
            return self.texts.fault_of(texts, response.headers.get("x-model-revision", ""), response.body)
        told = "retry-after" in response.headers or response.status not in _RETRIED
        return None if told and b'"error_type"' in response.body else f"{response.status} without its reason"

    async def _arrive(self, rate: float, mix: Mix) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += random.expovariate(rate)
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            self._begin(self._leave(mix) if random.random() < self.leaving else self.ask(mix(self.texts), due))

    def _begin(self, request: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._broken.append(error)

    async def _leave(self, mix: Mix) -> None:
        self.left += 1
        request = post(PREDICT, {"text": mix(self.texts).texts})
        connection = await self.client.connect()
        connection.transport.write(request[: random.choice([len(request), random.randrange(len(request))])])
        await asyncio.sleep(random.random() * _LEAVE_WITHIN_SECONDS)
        connection.close()
