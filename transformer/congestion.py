"""
How much the predictor has room for, learnt from what it refuses.

Under overload most requests are refused, and every refusal by the predictor costs it time that it could compute in,
and its client the way there and back. So the transformer refuses by a rule like the predictor's own, and learns
its limit as TCP learns its window (Jacobson 1988): a refusal sets it a little under what was with the predictor
when the refused request came, every answer raises it a little.
"""

import contextlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from math import inf

from serving.errors import Overloaded, ServiceError

_UNDER_REFUSED = 0.95
_RAISED_BY = 0.03
# as in the predictor: what a request may wait for others, in times of its own computing
_MOST_SLOWDOWN = 4


class Congestion:
    """
    The requests that are with the predictor, by their characters.
    """

    def __init__(self) -> None:
        self._limit = inf
        self._asked: dict[object, int] = {}

    @contextlib.contextmanager
    def asked(self, texts: Sequence[str]) -> Iterator[None]:
        """
        Be with the predictor; what it says meanwhile is learnt from.

        Raises:
            Overloaded: 429, it would refuse this, and is not asked.
        """
        size = sum(map(len, texts))
        # requests take turns there, so none costs another more than that one's own size
        others = sum(min(other, size) for other in self._asked.values())
        if others > max(self._limit, _MOST_SLOWDOWN * size):
            raise Overloaded("too many texts wait already; try again shortly, or send fewer at a time")
        request = object()
        self._asked[request] = size
        try:
            yield
        except ServiceError as error:
            if error.status == HTTPStatus.TOO_MANY_REQUESTS and size:
                self._limit = min(self._limit, max(_UNDER_REFUSED * others, _MOST_SLOWDOWN * size))
            raise
        else:
            if others > self._limit / 2:
                self._limit += _RAISED_BY * size
        finally:
            del self._asked[request]
