"""
Laws of single-flight.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import Overloaded, UpstreamTimeout
from transformer.client import Classified
from transformer.flights import Flights

from .parts import revision_of, row_of


class Upstream:
    """
    A predictor that answers when told to.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.cancelled: list[list[str]] = []
        self.leave = asyncio.Event()
        self.fault: Exception | None = None
        self.flights = Flights(self._ask)

    async def _ask(self, texts: list[str], _deadline: float) -> Classified:
        self.asked.append(texts)
        revision, fault = f"r{len(self.asked)}", self.fault
        try:
            await self.leave.wait()
        except asyncio.CancelledError:
            self.cancelled.append(texts)
            raise
        if fault:
            raise fault
        return Classified(revision_of(revision), [row_of(revision, text) for text in texts])

    def compute(self, *texts: str, join: bool = True, seconds: float = 60) -> asyncio.Task[Any]:
        deadline = asyncio.get_running_loop().time() + seconds
        return asyncio.create_task(self.flights.compute(texts, deadline=deadline, join=join))


async def turns() -> None:
    """
    Let everybody go on until they wait.
    """
    for _ in range(10):
        await asyncio.sleep(0)


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), min_size=1, max_size=6))
async def test_text_in_flight_is_asked_for_once(requests: list[list[str]]) -> None:
    """
    However requests overlap, each text is asked for once, and every request gets its texts' rows.
    """
    upstream = Upstream()
    tasks = []
    for texts in requests:
        tasks.append(upstream.compute(*texts))
        await turns()
    upstream.leave.set()
    answers = await asyncio.gather(*tasks)
    asked = [text for texts in upstream.asked for text in texts]
    assert sorted(asked) == sorted({text for texts in requests for text in texts})
    for texts, answer in zip(requests, answers, strict=True):
        assert answer == {text: (revision, row_of(revision.digest, text)) for text, (revision, _) in answer.items()}
        assert set(answer) == set(texts)


async def test_landed_flight_is_not_joined() -> None:
    """
    A text whose flight has ended is asked for again: what is known is the cache's to say.
    """
    upstream = Upstream()
    upstream.leave.set()
    for _ in range(2):
        await upstream.compute("a")
    assert upstream.asked == [["a"], ["a"]]


async def test_leaving_fails_nobody_else() -> None:
    """
    When who began a flight leaves, those who joined it still get its answer.
    """
    upstream = Upstream()
    first = upstream.compute("a", "b")
    await turns()
    second = upstream.compute("b")
    await turns()
    first.cancel()
    await turns()
    upstream.leave.set()
    assert (await second)["b"] == (revision_of("r1"), row_of("r1", "b"))
    assert (upstream.asked, upstream.cancelled) == ([["a", "b"]], [])


async def test_flight_ends_when_everybody_left() -> None:
    """
    When nobody waits for a flight any more, its question is cancelled.
    """
    upstream = Upstream()
    tasks = [upstream.compute("a"), upstream.compute("a")]
    await turns()
    for task in tasks:
        task.cancel()
    await turns()
    assert upstream.cancelled == [["a"]]
    upstream.leave.set()
    assert await upstream.compute("a")


async def test_ending_flight_is_not_joined() -> None:
    """
    Who asks in the moment in which the last who waited for a flight leaves gets an answer of a flight of its own.
    """
    upstream = Upstream()
    task = upstream.compute("a")
    await turns()
    task.cancel()
    await asyncio.sleep(0)
    second = upstream.compute("a")
    await turns()
    upstream.leave.set()
    assert set(await second) == {"a"}
    assert upstream.asked == [["a"], ["a"]]


async def test_end_of_a_flight_leaves_the_next_alone() -> None:
    """
    Who asks for a text joins the newest flight that carries it, though an older one has ended since.
    """
    upstream = Upstream()
    older = upstream.compute("a")
    await turns()
    tasks = [upstream.compute("a", join=False)]
    await turns()
    older.cancel()
    await turns()
    tasks.append(upstream.compute("a"))
    await turns()
    upstream.leave.set()
    assert [set(await task) for task in tasks] == [{"a"}] * 2
    assert (upstream.asked, upstream.cancelled) == ([["a"], ["a"]], [["a"]])


async def test_failed_flight_fails_only_who_began_it() -> None:
    """
    Who joined a flight that fails asks again, and gets the answer or the failure of that question.
    """
    upstream = Upstream()
    upstream.fault = Overloaded("full")
    first = upstream.compute("a", "b")
    await turns()
    upstream.fault = None
    second = upstream.compute("a", "c")
    await turns()
    upstream.leave.set()
    with pytest.raises(Overloaded):
        await first
    answer = await second
    assert set(answer) == {"a", "c"}
    assert upstream.asked == [["a", "b"], ["c"], ["a"]]


async def test_passengers_of_a_failed_flight_share_the_next() -> None:
    """
    However many waited for a flight that fails, the predictor is asked for its texts by one of them at a time.
    """
    upstream = Upstream()
    upstream.fault = Overloaded("full")
    first = upstream.compute("a")
    await turns()
    crowd = [upstream.compute("a") for _ in range(50)]
    await turns()
    upstream.leave.set()
    upstream.leave = asyncio.Event()
    with pytest.raises(Overloaded):
        await first
    await turns()
    assert upstream.asked == [["a"], ["a"]]
    upstream.fault = None
    upstream.leave.set()
    with pytest.raises(Overloaded):
        await crowd[0]
    assert [set(await each) for each in crowd[1:]] == [{"a"}] * 49
    assert upstream.asked == [["a"]] * 3


async def test_own_deadline_holds_in_another_s_flight() -> None:
    """
    Who joined a flight waits no longer for it than its own deadline, and the flight goes on for the others.
    """
    upstream = Upstream()
    first = upstream.compute("a")
    await turns()
    with pytest.raises(UpstreamTimeout):
        await upstream.compute("a", seconds=0.01)
    upstream.leave.set()
    assert set(await first) == {"a"}
    assert upstream.asked == [["a"]]


async def test_small_request_joins_no_crowd() -> None:
    """
    A request of few texts computes for itself what a flight of very many carries.
    """
    upstream = Upstream()
    crowd = [str(number) for number in range(1000)]
    tasks = [upstream.compute(*crowd)]
    await turns()
    tasks += [upstream.compute("7"), upstream.compute(*crowd)]
    await turns()
    assert upstream.asked == [crowd, ["7"]]
    upstream.leave.set()
    await asyncio.gather(*tasks)


async def test_fresh_answer_comes_from_no_flight() -> None:
    """
    Who wants a fresh answer joins nobody, and is joined by others.
    """
    upstream = Upstream()
    tasks = [upstream.compute("a")]
    await turns()
    tasks += [upstream.compute("a", join=False)]
    await turns()
    tasks += [upstream.compute("a")]
    await turns()
    assert upstream.asked == [["a"], ["a"]]
    upstream.leave.set()
    await asyncio.gather(*tasks)
