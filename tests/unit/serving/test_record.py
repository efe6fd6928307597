import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import record
from serving.trace_context import TraceContext

USABLE = re.compile(r"[!-~]{1,128}")


@given(st.text("abcXYZ019-_.:/", min_size=1, max_size=128))
def test_usable_id(sent: str) -> None:
    """
    A client's usable request id is kept as it is.
    """
    assert record.begin(sent).request_id == sent


@given(st.none() | st.text())
def test_any_id(sent: str | None) -> None:
    """
    Whatever a client sends as its id, the request's id is one printable word of at most 128 characters.
    """
    assert USABLE.fullmatch(record.begin(sent).request_id)


@pytest.mark.parametrize("sent", [None, "", " ", "a b", "a\nb", "id\n", "é", "x" * 129])
def test_unusable_id(sent: str | None) -> None:
    """
    An unusable request id is replaced by a new one each time.
    """
    first, second = record.begin(sent).request_id, record.begin(sent).request_id
    assert len({sent, first, second}) == 3


async def test_current() -> None:
    """
    Each task sees the record of its own request, and a fresh one outside of any.
    """

    async def serve(request_id: str) -> str:
        record.begin(request_id)
        await asyncio.sleep(0)
        return record.current().request_id

    assert await asyncio.gather(serve("a"), serve("b")) == ["a", "b"]
    assert record.current() is record.current()


def test_phases() -> None:
    """
    Phases follow one another: together they are the request's time until the last one's end.
    """
    one = record.Record("id")
    for name in ("parse", "cache", "model"):
        one.end_phase(name)
    assert all(duration >= 0 for duration in one.durations_ms.values())
    assert sum(one.durations_ms.values()) <= one.elapsed_ms()


def test_server_timing() -> None:
    """
    `Server-Timing` lists the phases in their order, in milliseconds.
    """
    one = record.Record("id", durations_ms={"parse": 1.0, "model": 20.12345})
    assert one.server_timing() == "parse;dur=1.000, model;dur=20.123"


@pytest.mark.parametrize("trace", [None, TraceContext("a" * 32, "b" * 16, sampled=True)])
def test_headers(trace: TraceContext | None) -> None:
    """
    Who is asked for a request's sake is told its id, and its place in a trace if it has one.
    """
    told = record.Record("id", trace=trace).headers()
    assert told == {"x-request-id": "id"} | ({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"} if trace else {})
