import asyncio
from collections.abc import Callable, Mapping

import pytest
from structlog.testing import capture_logs

from serving.errors import ServiceError, Unavailable, UpstreamFault, UpstreamRefusal, UpstreamTimeout
from transformer import revision
from transformer.redis_store import RedisStore
from transformer.revision import ModelRevision, RevisionWatch

from .parts import Clock, RedisServer, revision_of

R1, R2 = revision_of("r1"), revision_of("r2")
KEY = "sentiment:{sentiment}:revision"


@pytest.fixture(autouse=True)
def still_time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """
    The watch reads the test's clock.
    """
    monkeypatch.setattr(revision, "monotonic", clock)


class Asked:
    """
    The predictor, as the watch sees it: an answer or an error, counted.
    """

    def __init__(self, answer: ModelRevision | Exception) -> None:
        self.answer = answer
        self.count = 0

    async def __call__(self) -> ModelRevision:
        """
        Answer, after a turn of the loop.
        """
        self.count += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def watch_of(ask: Callable[[], object], store: RedisStore | None = None) -> RevisionWatch:
    """
    A watch that knows nothing yet and refreshes after 5 s.
    """
    store = store or RedisStore(None, timeout_ms=50)
    return RevisionWatch(ask, store, model_name="sentiment", refresh_seconds=5.0)  # type: ignore[arg-type]


async def test_callers_at_once_share_one_ask() -> None:
    """
    However many callers need the revision at once, the predictor is asked once.
    """
    ask = Asked(R1)
    watch = watch_of(ask)
    assert await asyncio.gather(*(watch.current() for _ in range(50))) == [R1] * 50
    assert ask.count == 1


async def test_cancelled_caller_leaves_the_ask_to_the_others() -> None:
    """
    The caller that began the ask may be cancelled; the others still get its answer.
    """
    answered = asyncio.Event()

    async def ask() -> ModelRevision:
        await answered.wait()
        return R1

    watch = watch_of(ask)
    first, second = asyncio.create_task(watch.current()), asyncio.create_task(watch.current())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    answered.set()
    assert first.cancelled()
    assert await second == R1


async def test_slow_answer_is_taken_in(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """
    Nobody waits long for a slow predictor, and what it answers then is known all the same.
    """
    monkeypatch.setattr(revision, "_PATIENCE_SECONDS", 0.001)
    answered = asyncio.Event()

    async def ask() -> ModelRevision:
        await answered.wait()
        return R2

    watch = watch_of(ask)
    watch.observe(R1, asked=clock.now)
    clock.now += 5
    assert await watch.current() == R1
    answered.set()
    clock.now += 5
    assert await watch.current() == R2


async def test_knowledge_is_refreshed_when_old_and_needed(clock: Clock) -> None:
    """
    The predictor is asked when a caller comes after the refresh, and not before.
    """
    ask = Asked(R1)
    watch = watch_of(ask)
    await watch.current()
    ask.answer = R2
    clock.now += 4.9
    assert (await watch.current(), ask.count) == (R1, 1)
    clock.now += 0.1
    assert (await watch.current(), ask.count) == (R2, 2)


async def test_a_response_is_knowledge(clock: Clock) -> None:
    """
    A revision observed in a response is current at once and puts off the next ask.
    """
    ask = Asked(R1)
    watch = watch_of(ask)
    await watch.current()
    clock.now += 4
    watch.observe(R2, asked=clock.now)
    clock.now += 4
    assert (await watch.current(), ask.count) == (R2, 1)


async def test_answer_to_an_older_question_is_no_knowledge(clock: Clock) -> None:
    """
    Of two answers the one to the later question counts, in whichever order they arrive.
    """
    watch = watch_of(Asked(R1))
    first, second = clock.now, clock.now + 1
    watch.observe(R2, asked=second)
    watch.observe(R1, asked=first)
    assert watch.known == R2
    watch.observe(R1, asked=second)
    assert watch.known == R1


async def test_knowledge_is_as_old_as_its_question(clock: Clock) -> None:
    """
    A slow answer says who answered when it was asked: the next ask comes a refresh after that.
    """
    ask = Asked(R1)
    watch = watch_of(ask)
    asked = clock.now
    clock.now += 5
    watch.observe(R2, asked=asked)
    assert (await watch.current(), ask.count) == (R1, 1)


async def test_slow_answers_are_knowledge_while_asks_fail(clock: Clock) -> None:
    """
    An ask without an answer does not make the answer to an earlier question worthless.
    """
    watch = watch_of(Asked(UpstreamTimeout("")))
    asked = clock.now
    clock.now += 1
    assert await watch.current() is None
    watch.observe(R1, asked=asked)
    assert watch.known == R1


FAILURES = [Unavailable(""), UpstreamTimeout(""), UpstreamFault(""), UpstreamRefusal(429, "", "")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_failure_keeps_what_is_known(failure: Exception, clock: Clock) -> None:
    """
    A predictor that fails leaves the known revision as it is and is not asked again before the refresh.
    """
    ask = Asked(R1)
    watch = watch_of(ask)
    await watch.current()
    ask.answer = failure
    clock.now += 5
    assert [await watch.current() for _ in range(3)] == [R1] * 3
    assert ask.count == 2
    clock.now += 4.9
    assert (await watch.current(), ask.count) == (R1, 2)
    clock.now += 0.1
    assert (await watch.current(), ask.count) == (R1, 3)


async def test_silent_predictor_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A predictor that does not answer holds a caller no longer than the ask's own limit.
    """
    monkeypatch.setattr(revision, "_PATIENCE_SECONDS", 0.001)
    assert await watch_of(asyncio.Event().wait).current() is None


async def test_fresh_watch_recalls_the_revision(store: RedisStore, clock: Clock) -> None:
    """
    With the predictor down, a fresh watch knows what another one learnt last, from Redis.
    """
    watch = watch_of(Asked(R1), store)
    for seen in (R1, R2):
        clock.now += 1
        watch.observe(seen, asked=clock.now)
        await asyncio.gather(*store._pending)
    assert await watch_of(Asked(Unavailable("")), store).current() == R2
    elsewhere = RevisionWatch(Asked(Unavailable("")), store, model_name="another", refresh_seconds=5)
    assert await elsewhere.current() is None


async def test_the_predictor_is_believed_before_redis(store: RedisStore, clock: Clock) -> None:
    """
    A fresh watch takes the predictor's own answer whatever is remembered.
    """
    watch_of(Asked(R1), store).observe(R1, asked=clock.now)
    await asyncio.gather(*store._pending)
    assert await watch_of(Asked(R2), store).current() == R2


JUNK = [
    b"", b"junk", b"\xff\xfe", b"[" * 5000, b"null", b"[]", b"{}", b'{"revision": "r1"}',
    b'{"revision": "r1", "labels": []}', b'{"revision": "r1", "labels": "AB"}',
    b'{"revision": "r1", "labels": ["A", 1]}', b'{"revision": 1, "labels": ["A"]}',
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_remembered_is_nothing_known(store: RedisStore, redis_server: RedisServer, junk: bytes) -> None:
    """
    Junk where the revision should be remembered leaves the revision unknown.
    """
    redis_server.direct.set(KEY, junk)
    assert await watch_of(Asked(Unavailable("")), store).current() is None


async def test_what_is_observed_outlasts_what_is_recalled(clock: Clock) -> None:
    """
    A response that arrives while the remembered revision is on its way from Redis is the newer knowledge.
    """

    class SlowStore(RedisStore):
        async def get(self, keys: object) -> list[bytes | None]:
            watch.observe(R2, asked=clock.now)
            return [b'{"revision": "r1", "labels": ["NEGATIVE", "POSITIVE"]}']

    watch = watch_of(Asked(Unavailable("")), SlowStore(None, timeout_ms=50))
    assert await watch.current() == R2


async def test_each_change_is_logged_and_remembered_once(
    store: RedisStore, redis_server: RedisServer, clock: Clock
) -> None:
    """
    A revision is logged and written to Redis when it changes, not with every response.
    """
    watch = watch_of(Asked(R1), store)
    with capture_logs() as lines:
        for seen in (R1, R1, R2, R2):
            clock.now += 1
            watch.observe(seen, asked=clock.now)
    await asyncio.gather(*store._pending)
    assert [(line["before"], line["revision"]) for line in lines] == [(None, "r1"), ("r1", "r2")]
    assert redis_server.direct.info("commandstats")["cmdstat_set"]["calls"] == 2
    assert redis_server.direct.ttl(KEY) > 0


async def test_stores_of_the_revision_keep_their_order(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However fast the revision changes, one store at a time is on its way, and the last one holds the last revision.
    """
    monkeypatch.setattr(revision, "_REMEMBER_PAUSE_SECONDS", 0.01)
    stored: list[bytes] = []

    class NotingStore(RedisStore):
        def set_later(self, values: Mapping[str, bytes], **_: object) -> None:
            stored.extend(values.values())
            if len(stored) == 2:
                done.set()

    done = asyncio.Event()
    watch = watch_of(Asked(R1), NotingStore(None, timeout_ms=50))
    for seen in (R1, R2) * 10:
        watch.observe(seen, asked=clock.now)
    assert [b'"r1"' in each for each in stored] == [True]
    await done.wait()
    assert [b'"r2"' in each for each in stored] == [False, True]


async def test_nobody_knows_without_predictor_and_redis() -> None:
    """
    With the predictor down and no Redis the revision is unknown, and that is no error.
    """
    failure: ServiceError = Unavailable("")
    assert await watch_of(Asked(failure)).current() is None
