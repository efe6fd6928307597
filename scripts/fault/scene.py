"""
Where a row is played: the stack, texts with their right answers, a load, and a fault in the middle of it.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http import HTTPStatus

import orjson

from fault import truth
from fault.client import PREDICT, Client, post
from fault.form import Form
from fault.load import Load, Question, mixed
from fault.outcome import Outcome, Played
from fault.process import Service
from fault.stack import Stack
from fault.texts import Texts
from local.supervisor import Failure
from transformer import entry

MODEL = "sentiment"
_ANSWER_SECONDS = 60.0
_SLACK_SECONDS = 5.0
_CONNECTIONS = 40
_UNTIL_SECONDS = 60
_TTL_SECONDS = 3600

Deed = Callable[["Scene"], Awaitable[None]]


class Scene:
    """
    The stack with one of its transformers in front of the clients.

    Attributes:
        main, other: revisions of the two models.
    """

    def __init__(self, stack: Stack, texts: Texts, form: Form) -> None:
        self.stack = stack
        self.texts = texts
        self.form = form
        self.main = self.other = ""

    async def learn(self, *, other: bool) -> None:
        """
        Have the predictors, alone and asked directly, say what is right.
        """
        self.main = await truth.learn(self.texts, self.stack.predictor)
        if other:
            self.other = await truth.learn(self.texts, self.stack.other)

    @contextlib.asynccontextmanager
    async def entered(self, transformer: Service, seconds: float) -> AsyncIterator[None]:
        """
        Be one of this transformer's clients, once it answers from a Redis filled for so many seconds of mixed load.
        """
        self._transformer, self.client = transformer, Client(transformer.port)
        try:
            shared = [self.texts.unseen() for _ in range(math.ceil(seconds * self.form.rate / 3) + 20)]
            await self._seed(shared)
            self.texts.shared = iter(shared)
            await self.until(self._knows_redis, "the transformer answers what Redis knows")
            await self.recover()
            await self._ask(self.texts.hot)
            yield
        finally:
            self.client.close()

    def load(self) -> Load:
        """
        Clients who wait longer than any answer may take.
        """
        return Load(self.client, self.texts, self.form.predictor_timeout + _SLACK_SECONDS)

    async def play(self, strike: Deed, heal: Deed, seconds: float) -> Played:
        """
        The mixed load, with a fault of so many seconds in the middle.
        """
        load, loop = self.load(), asyncio.get_running_loop()
        async with load.running(self.form.rate, mixed):
            await asyncio.sleep(self.form.before)
            struck = loop.time()
            await strike(self)
            await asyncio.sleep(seconds)
            healed = loop.time()
            await heal(self)
            mended = loop.time()
            await asyncio.sleep(self.form.after)
        return Played(load.outcomes, struck, healed, mended)

    async def recover(self) -> None:
        """
        Return once new texts are answered.
        """
        await self.until(self._computes, "new texts are answered")

    async def ask_each(self, texts: Iterable[str]) -> list[Outcome]:
        """
        What becomes of requests for one of these each, one after the other.
        """
        load = self.load()
        questions = (Question([text], cached=True) for text in texts)
        for question in questions:
            await load.ask(question, asyncio.get_running_loop().time())
        return load.outcomes

    def breaker_openings(self) -> int:
        """
        How often the transformer has told by now that it leaves Redis alone.
        """
        lines = map(orjson.loads, self._transformer.log.read_bytes().splitlines())
        return sum(line.get("message") == "breaker open" and line.get("peer") == "redis" for line in lines)

    async def tells_other(self) -> bool:
        """
        The other model answers.
        """
        response = await self.client.ask(post(PREDICT, {"text": self.texts.hot}), timeout_seconds=_ANSWER_SECONDS)
        return response.headers.get("x-model-revision") == self.other

    async def ask_new(self, count: int) -> None:
        """
        Have so many new texts answered.
        """
        await self._ask([self.texts.unseen() for _ in range(count)])

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """
        Return once something holds.

        Raises:
            Failure: it does not.
        """
        try:
            async with asyncio.timeout(_UNTIL_SECONDS):
                while not await holds():  # noqa: ASYNC110  # in another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise Failure(f"not within {_UNTIL_SECONDS} s: {what}") from None

    async def _seed(self, texts: list[str]) -> None:
        pipeline = self.stack.admin.pipeline(transaction=False)
        for text in texts:
            key = entry.key_of(MODEL, self.main, text)
            pipeline.set(key, entry.pack(key, self.texts.row(self.main, text)), ex=_TTL_SECONDS)
        await pipeline.execute()

    async def _ask(self, texts: list[str]) -> tuple[int, bool]:
        question = post(PREDICT, {"text": texts})
        response = await self.client.ask(question, timeout_seconds=_ANSWER_SECONDS)
        return response.status, response.headers.get("x-cache") == "hit"

    async def _knows_redis(self) -> bool:
        # so many at once that every connection in its pool is used, and those that broke with the last Redis are gone
        texts = [self.texts.unseen() for _ in range(_CONNECTIONS)]
        await self._seed(texts)
        return all(hit for _, hit in await asyncio.gather(*(self._ask([text]) for text in texts)))

    async def _computes(self) -> bool:
        return (await self._ask([self.texts.unseen()]))[0] == HTTPStatus.OK
