import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from serving.admission import FREE_BYTES, Admission
from serving.errors import Overloaded

NOBODY = Headers({})


@given(st.integers(1, 20))
async def test_places(limit: int) -> None:
    """
    So many requests are at work at once and not one more; a place is free again however its request ended.
    """
    admission = Admission(max_requests=limit, max_body_bytes=1)
    taken = [admission.place() for _ in range(limit)]
    for place in taken:
        await admission.admit(NOBODY, "")
        place.__enter__()
    with pytest.raises(Overloaded):
        await admission.admit(NOBODY, "")
    with pytest.raises(Overloaded), admission.place():
        pytest.fail("a place too many")
    taken[0].__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="fault"), admission.place():
        raise RuntimeError("fault")
    await admission.admit(NOBODY, "")


@given(st.lists(st.lists(st.integers(0, FREE_BYTES), max_size=5), max_size=8))
def test_bytes(bodies: list[list[int]]) -> None:
    """
    The bytes counted are those of all bodies beyond what is free of each, and none when no request is there.
    """
    admission = Admission(max_requests=1, max_body_bytes=sum(map(sum, bodies)))
    with contextlib.ExitStack() as stack:
        for chunks in bodies:
            hold = stack.enter_context(admission.body())
            for chunk in chunks:
                hold(chunk)
        assert admission._body_bytes == sum(max(0, sum(chunks) - FREE_BYTES) for chunks in bodies)
    assert admission._body_bytes == 0


def test_refused_bytes_are_not_held() -> None:
    """
    A body that is refused takes no room from another, and small bodies need none.
    """
    admission = Admission(max_requests=1, max_body_bytes=100)
    with admission.body() as one, admission.body() as other, admission.body() as small:
        one(FREE_BYTES + 60)
        with pytest.raises(Overloaded):
            other(FREE_BYTES + 41)
        small(FREE_BYTES)
        small(40)
        with pytest.raises(Overloaded):
            small(1)
    assert admission._body_bytes == 0
