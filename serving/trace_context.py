"""
Which trace a request belongs to, as its headers tell (W3C Trace Context).
"""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """
    A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits, whose span is the parent of what follows.
        sampled: whether anybody keeps the trace.
        state: what tracing systems tell each other, `tracestate`; empty for nothing.
    """

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""

    def headers(self) -> dict[str, str]:
        """
        What tells it to whoever is asked next.
        """
        told = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"}
        return told | {"tracestate": self.state} if self.state else told


def of(headers: Headers) -> TraceContext | None:
    """
    The place that the headers name; None where they name none, or not as the standard has it.
    """
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if more and version == "00":
        return None
    state = ",".join(headers.getlist("tracestate"))
    sampled = bool(int(flags, 16) & _SAMPLED)
    return TraceContext(trace_id, span_id, sampled, state if _TRACESTATE.fullmatch(state) else "")
