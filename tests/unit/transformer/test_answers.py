import asyncio
from time import monotonic

import aiohttp
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving.errors import Overloaded, ServiceError, Unavailable, UpstreamFault
from transformer.answers import Answer, Answers
from transformer.cache import TextCache
from transformer.entry import Row
from transformer.redis_store import RedisStore
from transformer.revision import ModelRevision, RevisionWatch

from .parts import Predictor, revision_of, row_of

OLD = revision_of("old")
texts_of_any_kind = st.sampled_from("abcdefg") | st.text(max_size=3)


class Parts:
    """
    Answers on a real cache without Redis, and a predictor whose every question is noted.
    """

    def __init__(self, predictor: Predictor, *, known: ModelRevision | None = OLD, max_waiting: int = 100) -> None:
        store = RedisStore(None, timeout_ms=50)
        client = predictor.client()
        self.cache = TextCache("sentiment", store, local_bytes=1_000_000, ttl_seconds=3600, ttl_jitter=0)
        self.watch = RevisionWatch(_nobody_knows, store, model_name="sentiment", refresh_seconds=3600)
        if known:
            self.watch.observe(known, asked=monotonic())
        self.answer = Answers(self.cache, client, self.watch, max_waiting=max_waiting).answer


async def _nobody_knows() -> ModelRevision:
    raise Unavailable("")


def rows_of(revision: str, texts: list[str]) -> list[Row]:
    """
    The rows that the predictor gives these texts.
    """
    return [row_of(revision, text) for text in texts]


async def test_hits_find_room_beside_those_who_wait() -> None:
    """
    While as many requests wait for the predictor as may, further misses are 429 at once and hits are answered.
    """
    answered = asyncio.Event()

    class Slow(Predictor):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            await answered.wait()
            return await super().__call__(request)

    parts = Parts(Slow("old"), max_waiting=2)
    parts.cache.store(OLD, {"known": row_of("old", "known")})
    waiting = [asyncio.create_task(parts.answer([text], fresh=False)) for text in "aab"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert waiting[2].done()
    with pytest.raises(Overloaded):
        await waiting[2]
    assert (await parts.answer(["known"], fresh=False)).hits == 1
    answered.set()
    assert [len((await each).rows) for each in waiting[:2]] == [1, 1]


@given(
    texts=st.lists(texts_of_any_kind),
    cached=st.frozensets(texts_of_any_kind),
    answering=st.sampled_from(["old", "new"]),
    fresh=st.booleans(),
)
@example(texts=["a", "b", "a"], cached=frozenset("a"), answering="new", fresh=False)
@example(texts=["a", "b", "b", "a", "a"], cached=frozenset("a"), answering="old", fresh=False)
@example(texts=[], cached=frozenset(), answering="new", fresh=True)
async def test_answer_equals_the_reference(
    texts: list[str], cached: frozenset[str], answering: str, *, fresh: bool
) -> None:
    """
    Rows are in the texts' order and of one revision; only texts that the cache lacks are asked for, each once.

    Where the predictor's revision is another than the cache's, every row is of the response's revision; hits are
    counted by position.
    """
    unique = list(dict.fromkeys(texts))
    found = set() if fresh else cached & set(unique)
    missing = [text for text in unique if text not in found]
    asked = [missing] if missing else []
    if missing and found and answering == "new":
        asked, found = [missing, unique], set()
    revision = answering if missing else "old"

    predictor = Predictor(answering)
    parts = Parts(predictor)
    parts.cache.store(OLD, {text: row_of("old", text) for text in cached})
    answer = await parts.answer(texts, fresh=fresh)

    assert answer == Answer(revision_of(revision), rows_of(revision, texts), sum(text in found for text in texts))
    assert predictor.asked == asked
    assert parts.watch.known == revision_of(revision)


async def test_answer_has_one_revision_even_in_a_rollout() -> None:
    """
    When the predictor changes with every response, all rows are of the last one.
    """
    predictor = Predictor("r2", "r3", "r4")
    parts = Parts(predictor)
    parts.cache.store(OLD, {"a": row_of("old", "a")})
    answer = await parts.answer(["a", "b"], fresh=False)
    assert (answer.revision.digest, answer.rows) == ("r3", rows_of("r3", ["a", "b"]))


async def test_canary_answers_from_what_it_knows() -> None:
    """
    When another revision than the cache's answers, rows that the cache has of that one too are not asked for again.
    """
    predictor = Predictor("canary")
    parts = Parts(predictor)
    for revision in ("old", "canary"):
        parts.cache.store(revision_of(revision), {text: row_of(revision, text) for text in "ab"})
    answer = await parts.answer(["a", "new", "b"], fresh=False)
    assert answer == Answer(revision_of("canary"), rows_of("canary", ["a", "new", "b"]), 2)
    assert predictor.asked == [["new"]]


async def test_canary_asks_for_all_when_the_cache_lacks_one() -> None:
    """
    When the cache knows only some of the rest under the revision that answered, all rows come from one new response.
    """
    predictor = Predictor("canary", "old")
    parts = Parts(predictor)
    parts.cache.store(OLD, {text: row_of("old", text) for text in "ab"})
    parts.cache.store(revision_of("canary"), {"a": row_of("canary", "a")})
    answer = await parts.answer(["a", "new", "b"], fresh=False)
    assert answer == Answer(OLD, rows_of("old", ["a", "new", "b"]), 0)
    assert predictor.asked == [["new"], ["a", "new", "b"]]


@given(st.lists(st.lists(st.sampled_from("abcd"), min_size=1), min_size=12, max_size=12))
async def test_canary_never_mixes_revisions_and_still_hits(requests: list[list[str]]) -> None:
    """
    With two revisions answering in turn, each answer is of the revision it names, and what is asked again is a hit.
    """
    turns = [revision for _ in range(40) for revision in ("old", "canary")]
    parts = Parts(Predictor(*turns))
    for texts in requests:
        answer = await parts.answer(texts, fresh=False)
        assert answer.rows == rows_of(answer.revision.digest, texts)
    everything = list("abcd")
    for _ in range(2):
        await parts.answer(everything, fresh=True)
    assert (await parts.answer(everything, fresh=False)).cache_status == "hit"


async def test_slow_answer_is_no_news() -> None:
    """
    An answer by the old revision that arrives after one by the new leaves the new one known.
    """
    asked, late = asyncio.Event(), asyncio.Event()

    class Rollout(Predictor):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            response = await super().__call__(request)
            if self.asked[-1] == ["slow"]:
                asked.set()
                await late.wait()
            return response

    parts = Parts(Rollout("old", "new"))
    slow = asyncio.create_task(parts.answer(["slow"], fresh=False))
    await asked.wait()
    await parts.answer(["quick"], fresh=False)
    late.set()
    assert (await slow).revision == OLD
    assert parts.watch.known == revision_of("new")


async def test_answers_are_stored_under_the_revision_of_their_response() -> None:
    """
    What a canary answers is found under the canary's revision and not under the one that was known.
    """
    parts = Parts(Predictor("canary"))
    await parts.answer(["a"], fresh=False)
    assert await parts.cache.lookup(OLD, ["a"]) == {}
    assert await parts.cache.lookup(revision_of("canary"), ["a"]) == {"a": row_of("canary", "a")}


@pytest.mark.parametrize("texts", [[], ["a"], ["a", "b", "a"]])
async def test_unknown_revision_is_learnt_from_the_answer(texts: list[str]) -> None:
    """
    While nobody knows the revision, the predictor is asked for everything, even for nothing, and then it is known.
    """
    predictor = Predictor("r1")
    parts = Parts(predictor, known=None)
    answer = await parts.answer(texts, fresh=False)
    assert answer == Answer(revision_of("r1"), rows_of("r1", texts), 0)
    assert predictor.asked == [list(dict.fromkeys(texts))]
    assert await parts.answer(texts, fresh=False) == Answer(revision_of("r1"), rows_of("r1", texts), len(texts))
    assert len(predictor.asked) == 1


@pytest.mark.parametrize(
    "fault",
    [
        aiohttp.ClientConnectionError(),
        httpx.Response(200, json={}),
        httpx.Response(500),
        httpx.Response(429),
    ],
)
async def test_errors_are_never_cached(fault: httpx.Response | Exception) -> None:
    """
    A text whose computation failed is computed when it is asked for next, and what the cache knows is still answered.
    """
    predictor = Predictor("old")
    parts = Parts(predictor)
    await parts.answer(["known"], fresh=False)
    predictor.fault = fault
    for _ in range(2):
        with pytest.raises(ServiceError):
            await parts.answer(["known", "new"], fresh=False)
    assert (await parts.answer(["known"], fresh=False)).cache_status == "hit"
    predictor.fault = None
    assert (await parts.answer(["known", "new"], fresh=False)).rows == rows_of("old", ["known", "new"])
    assert predictor.asked == [["known"], ["new"], ["new"], ["new"]]


async def test_fresh_answer_is_stored() -> None:
    """
    A fresh answer is computed though the cache knows one, and replaces it there.
    """
    predictor = Predictor("old")
    parts = Parts(predictor)
    parts.cache.store(OLD, {"a": (0.125, 0.875)})
    fresh = await parts.answer(["a"], fresh=True)
    predictor.fault = UpstreamFault("")
    assert fresh == Answer(OLD, rows_of("old", ["a"]), 0)
    assert await parts.answer(["a"], fresh=False) == Answer(OLD, rows_of("old", ["a"]), 1)


@pytest.mark.parametrize(("texts", "status"), [([], "hit"), (["a"], "hit"), (["a", "b"], "partial"), (["b"], "miss")])
async def test_cache_status_says_what_was_computed(texts: list[str], status: str) -> None:
    """
    `hit` when nothing was computed, `miss` when everything was, else `partial`.
    """
    parts = Parts(Predictor("old"))
    parts.cache.store(OLD, {"a": row_of("old", "a")})
    assert (await parts.answer(texts, fresh=False)).cache_status == status
