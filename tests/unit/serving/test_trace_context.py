import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from serving import trace_context
from serving.trace_context import TraceContext

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_hex = st.text("0123456789abcdef", min_size=1)


def of(**headers: str) -> TraceContext | None:
    """
    The place that headers name.
    """
    return trace_context.of(Headers(headers))


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True), ("02", False)])
def test_place(flags: str, sampled: bool) -> None:
    """
    A request's place in a trace is read from `traceparent`.
    """
    assert of(traceparent=f"00-{TRACE}-{SPAN}-{flags}") == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_no_place(sent: str) -> None:
    """
    A `traceparent` that the standard does not know is as none (W3C Trace Context, 3.2.2).
    """
    assert of(traceparent=sent) is None


def test_later_version() -> None:
    """
    Of a later version what this one knows is read (W3C Trace Context, 3.2.4).
    """
    assert of(traceparent=f"cc-{TRACE}-{SPAN}-01-what-else") == TraceContext(TRACE, SPAN, sampled=True)


@given(st.builds("-".join, st.lists(_hex, max_size=5)) | st.text())
def test_any_header(sent: str) -> None:
    """
    Whatever is sent as `traceparent`, what is told on is a valid one of the version 00, or nothing.
    """
    raw = [(b"traceparent", sent.encode())]
    place = trace_context.of(Headers(raw=raw))
    assert place is None or of(**place.headers()) == place


def test_told_on() -> None:
    """
    Who is asked next is told the same place, and what tracing systems tell each other.
    """
    sent = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "congo=t61,rojo=00f0"}
    place = of(**sent)
    assert place
    assert place.headers() == sent


@pytest.mark.parametrize("state", ["x" * 513, "é=1", "a=1\n"])
def test_unusable_state(state: str) -> None:
    """
    A `tracestate` that no header may hold, or that is too long, is not told on; the trace goes on.
    """
    raw = [(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode()), (b"tracestate", state.encode())]
    assert trace_context.of(Headers(raw=raw)) == TraceContext(TRACE, SPAN, sampled=True)
