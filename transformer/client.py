"""
Asking the predictor: within the request's time, not while it is down, and believing nothing unchecked.
"""

import asyncio
import re
from dataclasses import dataclass
from time import monotonic

from serving.errors import ServiceError, UpstreamTimeout
from transformer import hop, lenient
from transformer.breaker import Breaker
from transformer.congestion import Congestion
from transformer.entry import Row, is_distribution
from transformer.hop import Hop, Reply, Unreachable
from transformer.revision import ModelRevision

_FAIR_SHARE = 0.5
_DIGEST = r"[!-~]{1,128}"  # it becomes a header's value, and a part of keys


@dataclass(frozen=True, slots=True)
class Classified:
    """
    One response of the predictor: a row per text, all of one revision.
    """

    revision: ModelRevision
    rows: list[Row]


class PredictorClient:
    """
    Asks the predictor.

    Args:
        hop: the way there.
        timeout_seconds: longest wait for the predictor, for all that one request asks of it.
    """

    def __init__(self, hop: Hop, *, timeout_seconds: float) -> None:
        self._hop = hop
        self._timeout_seconds = timeout_seconds
        self._breaker = Breaker("predictor")
        self._congestion = Congestion()
        self._answered = 0.0

    async def close(self) -> None:
        """
        Disconnect.
        """
        await self._hop.close()

    def deadline(self) -> float:
        """
        When the answers that a request needs must all be there, if it begins now; in the event loop's time.
        """
        return asyncio.get_running_loop().time() + self._timeout_seconds

    async def revision(self) -> ModelRevision:
        """
        The predictor's revision: that of its answer to no text at all. Errors as `classify`.
        """
        return (await self.classify([], deadline=self.deadline())).revision

    async def classify(self, texts: list[str], *, deadline: float) -> Classified:
        """
        Scores of N ≥ 0 texts, in their order, from one response.

        Args:
            deadline: of the request, however often it asks.

        Raises:
            Overloaded: 429, the predictor would refuse as much.
            UpstreamRefusal: the predictor's own 4xx, 429 among them.
            UpstreamFault: 502, the answer is no answer.
            Unavailable: 503, the predictor cannot be reached, is being left alone since it could not, or is not ready.
            UpstreamTimeout: 504, no answer in time.
        """
        with self._congestion.asked(texts):
            return _classified(await self._ask(texts, deadline), len(texts))

    async def _ask(self, texts: list[str], deadline: float) -> Reply:
        if not self._breaker.allow():
            hop.note("Breaker", "open")
            raise Unreachable
        began = monotonic()
        time_left = deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(deadline):
                reply = await self._hop.ask(texts)
        except Unreachable as error:
            self._note_failure(error, began)
            raise
        except TimeoutError as error:
            # who came with too little time left tells nothing of the predictor
            if time_left >= _FAIR_SHARE * self._timeout_seconds:
                self._note_failure(error, began)
            hop.note("TimeoutError", "no answer in time")
            raise UpstreamTimeout(
                f"the model did not answer within {self._timeout_seconds:g} s; try again, or with fewer texts"
            ) from None
        except ServiceError:
            self._note_answer()
            raise
        self._note_answer()
        return reply

    def _note_answer(self) -> None:
        self._answered = monotonic()
        self._breaker.succeeded()

    def _note_failure(self, error: Exception, began: float) -> None:
        # Who was answered meanwhile shows that the predictor lives: a few requests too large for their time, or the
        # loss of one replica among several, must not keep everybody else from it.
        if self._answered < began:
            self._breaker.failed(error)


def _classified(reply: Reply, count: int) -> Classified:
    labels = lenient.loads(reply.labels.encode())
    if not isinstance(labels, list) or not labels or not all(isinstance(name, str) for name in labels):
        raise hop.nonsense()
    if not re.fullmatch(_DIGEST, reply.digest):
        raise hop.nonsense()
    return Classified(ModelRevision(reply.digest, tuple(labels)), _rows(reply.scores, count, len(labels)))


def _rows(scores: list[object], count: int, columns: int) -> list[Row]:
    numbers = [score for score in scores if isinstance(score, int | float) and not isinstance(score, bool)]
    rows = list(zip(*[iter(numbers)] * columns, strict=False))
    if not len(scores) == len(numbers) == count * columns or len(rows) != count or not all(map(is_distribution, rows)):
        raise hop.nonsense()
    return rows
