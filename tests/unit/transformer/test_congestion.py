import contextlib
from contextlib import ExitStack

import pytest

from serving.errors import Overloaded, ServiceError, Unavailable, UpstreamRefusal
from transformer.congestion import Congestion

TEXT = "1234567890"


def room(congestion: Congestion, text: str = TEXT, *, most: int = 1000) -> int:
    """
    How many requests of a text can be with the predictor at once; none of them is answered.
    """
    count = 0
    with contextlib.suppress(ServiceError), ExitStack() as asked:
        for count in range(most):  # noqa: B007
            try:
                asked.enter_context(congestion.asked([text]))
            except Overloaded:
                break
        raise Unavailable("of no matter")
    return count


def refused_beside(count: int) -> Congestion:
    """
    The predictor has refused a request while it had so many others, which have then found it gone.
    """
    congestion = Congestion()
    with contextlib.suppress(Unavailable), ExitStack() as asked:
        for _ in range(count):
            asked.enter_context(congestion.asked([TEXT]))
        with pytest.raises(UpstreamRefusal), congestion.asked([TEXT]):
            raise UpstreamRefusal(429, "full", "overloaded")
        raise Unavailable("of no matter")
    return congestion


def test_all_are_asked_at_first() -> None:
    """
    Until the predictor refuses a request every request is asked, however many there are.
    """
    assert room(Congestion(), most=1001) == 1000


def test_refused_is_learnt() -> None:
    """
    After a refusal a little less is asked at a time than was then.
    """
    assert room(refused_beside(20)) == 20
    assert room(refused_beside(100)) == 96


def test_answers_raise_the_limit() -> None:
    """
    What is answered while much is asked makes room for more; what is answered alone proves nothing.
    """
    congestion = refused_beside(100)
    for _ in range(50):
        with congestion.asked([TEXT]):
            pass
    assert room(congestion) == 96
    for _ in range(10):
        with ExitStack() as asked:
            for _ in range(60):
                asked.enter_context(congestion.asked([TEXT]))
    assert room(congestion) == 99


def test_smaller_requests_have_room() -> None:
    """
    What shuts out a request shuts out no smaller one, nor one that computes for long by itself.
    """
    congestion = refused_beside(20)
    with ExitStack() as asked:
        for _ in range(20):
            asked.enter_context(congestion.asked([TEXT]))
        assert room(congestion) == 0
        assert room(congestion, TEXT[:5]) > 0
        assert room(congestion, TEXT * 10) > 0


def test_large_request_shuts_out_no_small_one() -> None:
    """
    However large a request is with the predictor, it takes from a small one no more room than a small one.
    """
    congestion = refused_beside(20)
    with congestion.asked([TEXT * 1000]):
        assert room(congestion) == 19


def test_refused_giant_teaches_little() -> None:
    """
    What refuses a very large request beside a small one leaves room for as much as it has itself.
    """
    congestion = Congestion()
    with congestion.asked([TEXT]), pytest.raises(UpstreamRefusal), congestion.asked([TEXT * 100]):
        raise UpstreamRefusal(429, "full", "overloaded")
    assert room(congestion) > 300


def test_refused_question_for_the_revision_teaches_nothing() -> None:
    """
    A request of no text that is refused, as one too many at once, says nothing of the room for texts.
    """
    congestion = Congestion()
    with pytest.raises(UpstreamRefusal), congestion.asked([]):
        raise UpstreamRefusal(429, "full", "overloaded")
    assert room(congestion, most=1001) == 1000


def test_some_are_always_asked() -> None:
    """
    However little room another transformer leaves, four requests are asked beside one.
    """
    assert room(refused_beside(0)) == 5
