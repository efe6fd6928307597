"""
Single-flight: a text that is being computed is not computed again (DESIGN law 4).

A question to the predictor is a flight; who misses a text that a flight carries waits for that flight. A flight is a
task of its own, so nobody's leaving fails the others; it ends when nobody waits for it any more. A flight that fails
fails only who began it: the others ask again, since the reason may have been its size or its deadline, and again in one
flight.

A text in a flight of very many texts is computed again for who asks few: to wait for thousands of texts would cost far
more than to compute one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from serving.errors import ServiceError, UpstreamTimeout
from transformer.client import Classified
from transformer.entry import Row
from transformer.metrics import FLIGHT_TEXTS, PREDICTOR_TEXTS
from transformer.revision import ModelRevision

# The largest flight that a request of few texts joins; a larger request joins what is no larger than itself.
_MOST_TEXTS = 64

Ask = Callable[[list[str], float], Awaitable[Classified]]
Computed = dict[str, tuple[ModelRevision, Row]]


class _Flight:
    """
    One question on its way.
    """

    def __init__(self, texts: list[str], answer: Awaitable[Classified]) -> None:
        self.texts = texts
        self.task = asyncio.ensure_future(answer)
        self._passengers = 0

    @property
    def is_boarded(self) -> bool:
        """
        Whether anybody waits; a flight that nobody waits for any more is ending, though its task still runs.
        """
        return self._passengers > 0

    @contextlib.contextmanager
    def boarded(self) -> Iterator[None]:
        """
        Be one of those who wait; the last to leave ends the question.
        """
        self._passengers += 1
        try:
            yield
        finally:
            self._passengers -= 1
            if not self._passengers:
                self.task.cancel()

    async def landed(self) -> Classified:
        return await asyncio.shield(self.task)


class Flights:
    """
    Questions on their way to the predictor, by the texts they carry.

    Args:
        ask: asks the predictor, until a deadline in the event loop's time.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._by_text: dict[str, _Flight] = {}

    async def compute(self, texts: Sequence[str], *, deadline: float, join: bool) -> Computed:
        """
        Revision and row of N distinct texts, which may be of several revisions where they come from several flights.

        Args:
            join: whether flights that began before will do.

        Raises:
            ServiceError: what the predictor's client raises, for the texts asked for here.
        """
        computed: Computed = {}
        missing: Sequence[str] = texts
        while missing:
            found, missing = await self._board(missing, self._joinable(missing) if join else {}, deadline)
            computed |= found
        return computed

    async def _board(
        self, texts: Sequence[str], joined: Mapping[str, _Flight], deadline: float
    ) -> tuple[Computed, list[str]]:
        """
        What those flights and one of our own bring, and the texts whose flight failed.
        """
        own = [text for text in texts if text not in joined]
        with contextlib.ExitStack() as boarded:
            for flight in set(joined.values()):
                boarded.enter_context(flight.boarded())
            computed = await self._alone(own, deadline) if own else {}
            failed: list[str] = []
            for flight in set(joined.values()):
                mine = [text for text in flight.texts if joined.get(text) is flight]
                try:
                    async with asyncio.timeout_at(deadline):
                        landed = _by_text(flight, await flight.landed())
                except TimeoutError:
                    raise UpstreamTimeout("the model did not answer in time; send fewer texts") from None
                except ServiceError:
                    failed += mine
                else:
                    FLIGHT_TEXTS.inc(len(mine))
                    computed |= {text: landed[text] for text in mine}
        return computed, failed

    def _joinable(self, texts: Sequence[str]) -> Mapping[str, _Flight]:
        most = max(_MOST_TEXTS, len(texts))
        flights = ((text, self._by_text.get(text)) for text in texts)
        return {text: flight for text, flight in flights if flight and flight.is_boarded and len(flight.texts) <= most}

    async def _alone(self, texts: list[str], deadline: float) -> Computed:
        PREDICTOR_TEXTS.inc(len(texts))
        flight = _Flight(texts, self._ask(texts, deadline))
        self._by_text |= dict.fromkeys(texts, flight)
        flight.task.add_done_callback(lambda _: self._forget(flight))
        with flight.boarded():
            return _by_text(flight, await flight.landed())

    def _forget(self, flight: _Flight) -> None:
        for text in flight.texts:
            if self._by_text.get(text) is flight:
                del self._by_text[text]
        if not flight.task.cancelled():
            flight.task.exception()  # seen, though everybody may have left


def _by_text(flight: _Flight, classified: Classified) -> Computed:
    rows = zip(flight.texts, classified.rows, strict=True)
    return {text: (classified.revision, row) for text, row in rows}
