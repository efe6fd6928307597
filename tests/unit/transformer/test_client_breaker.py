import asyncio
from typing import Any

import pytest

from serving.errors import ServiceError, Unavailable, UpstreamFault, UpstreamRefusal, UpstreamTimeout
from transformer import client as client_module
from transformer.breaker import Breaker
from transformer.client import PredictorClient
from transformer.hop import Reply, Unreachable

from .parts import Clock

ANSWER = Reply("r1", '["A", "B"]', [])


class FakeHop:
    """
    A predictor that answers with what lies in `outcome`: a reply, an error, or never.
    """

    def __init__(self) -> None:
        self.outcome: Reply | Exception | None = ANSWER
        self.asked = 0

    async def ask(self, texts: list[str]) -> Reply:
        self.asked += 1
        if self.outcome is None:
            await asyncio.Event().wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        assert self.outcome
        return self.outcome

    async def close(self) -> None:
        pass


class Asking:
    """
    A client on a fake hop and a clock that stands still.
    """

    def __init__(self, clock: Clock, *, timeout_seconds: float = 60) -> None:
        self.hop = FakeHop()
        self.client = PredictorClient(self.hop, timeout_seconds=timeout_seconds)
        self.client._breaker = Breaker("predictor", max_failures=3, open_seconds=1.0, clock=clock)

    async def outcome(self, *, seconds: float = 60.0) -> Any:
        """
        What a question with so much time ends with: None, or its error's type.
        """
        try:
            await self.client.classify([], deadline=asyncio.get_running_loop().time() + seconds)
        except ServiceError as error:
            return type(error)
        return None

    async def outcomes(self, times: int, *, seconds: float = 60.0) -> list[Any]:
        """
        The ends of several questions, one after another.
        """
        return [await self.outcome(seconds=seconds) for _ in range(times)]


@pytest.fixture
def asking(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """
    A client whose predictor answers.
    """
    monkeypatch.setattr(client_module, "monotonic", clock)
    return Asking(clock)


async def test_dead_predictor_is_left_alone(asking: Asking, clock: Clock) -> None:
    """
    After three failures in a row questions are 503 unasked, but for one each second, whose answer lets all pass again.
    """
    asking.hop.outcome = Unreachable()
    assert await asking.outcomes(10) == [Unreachable] * 10
    assert asking.hop.asked == 3
    clock.now += 1
    assert await asking.outcomes(10) == [Unreachable] * 10
    assert asking.hop.asked == 4
    asking.hop.outcome = ANSWER
    clock.now += 1
    assert await asking.outcomes(10) == [None] * 10


async def test_silent_predictor_is_left_alone(asking: Asking, clock: Clock) -> None:
    """
    A predictor that answered nobody in the time of three questions is left alone as well.
    """
    asking = Asking(clock, timeout_seconds=0.001)
    asking.hop.outcome = None
    assert await asking.outcomes(5, seconds=0.001) == [UpstreamTimeout] * 3 + [Unreachable] * 2


async def test_question_without_time_is_no_verdict(asking: Asking) -> None:
    """
    Questions with less than half of a request's time say nothing of the predictor.
    """
    asking.hop.outcome = None
    assert await asking.outcomes(5, seconds=0.001) == [UpstreamTimeout] * 5
    asking.hop.outcome = ANSWER
    assert await asking.outcome() is None


@pytest.mark.parametrize(
    "outcome",
    [
        UpstreamRefusal(400, "", ""),
        UpstreamRefusal(429, "", ""),
        UpstreamFault(""),
        Unavailable("not ready"),
        UpstreamTimeout("said by a gateway"),
        Reply("", "", []),
        Reply("r1\r\nx-cache: hit", '["A"]', []),
    ],
    ids=lambda outcome: f"{type(outcome).__name__} {outcome}"[:30].strip(),
)
async def test_predictor_that_answers_is_not_left_alone(asking: Asking, outcome: Any) -> None:
    """
    Whatever a predictor answers, it answers: refusals, faults and nonsense leave it asked every time.
    """
    asking.hop.outcome = outcome
    assert None not in await asking.outcomes(10)
    assert asking.hop.asked == 10


@pytest.mark.parametrize("answer", [ANSWER, UpstreamRefusal(429, "", "")], ids=["answer", "refusal"])
async def test_answer_between_failures(asking: Asking, clock: Clock, answer: Any) -> None:
    """
    An answer, a refusal as well, ends a row of failures.
    """
    for outcome in (Unreachable(), Unreachable(), answer, Unreachable(), Unreachable(), answer):
        clock.now += 0.001
        asking.hop.outcome = outcome
        await asking.outcome()
    assert asking.hop.asked == 6


@pytest.mark.parametrize(("failure", "kind"), [(TimeoutError(), UpstreamTimeout), (Unreachable(), Unreachable)])
async def test_failure_beside_answers_is_no_sign(
    asking: Asking, clock: Clock, failure: Exception, kind: type[ServiceError]
) -> None:
    """
    Questions that fail while another is answered do not count: the predictor lives.
    """

    class Slow(FakeHop):
        async def ask(self, texts: list[str]) -> Reply:
            begun.release()
            await answered.wait()
            return await super().ask(texts)

    begun, answered = asyncio.Semaphore(0), asyncio.Event()
    quick, asking.client._hop = asking.hop, Slow()
    asking.client._hop.outcome = failure
    slow = [asyncio.create_task(asking.outcome()) for _ in range(5)]
    for _ in slow:
        await begun.acquire()
    clock.now += 1
    asking.client._hop = quick
    assert await asking.outcome() is None
    answered.set()
    assert await asyncio.gather(*slow) == [kind] * 5
    assert await asking.outcomes(3) == [None] * 3


async def test_cancelled_question_is_no_verdict(asking: Asking) -> None:
    """
    Clients that leave neither open the breaker nor close it.
    """
    asking.hop.outcome = None
    for _ in range(5):
        task = asyncio.create_task(asking.outcome())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert asking.hop.asked == 5
    asking.hop.outcome = ANSWER
    assert await asking.outcome() is None


async def test_questions_of_one_request_share_its_time(asking: Asking) -> None:
    """
    A question gets what its request has left, so that a request that asks twice ends when its time is over.
    """
    loop = asyncio.get_running_loop()
    client = PredictorClient(asking.hop, timeout_seconds=0.02)
    deadline = client.deadline()
    asking.hop.outcome = None
    for _ in range(2):
        with pytest.raises(UpstreamTimeout, match=r"within 0\.02 s"):
            await client.classify([], deadline=deadline)
        assert loop.time() >= deadline - 0.002  # uvloop's and asyncio's clocks tick
    assert asking.hop.asked <= 2
