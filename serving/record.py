"""
What one request is known by while it runs: its id, its clock, and what its log line will say.

Hooks of a KServe model get no request object, so the record travels in a context variable: REST and gRPC alike set
it before the hooks run, in the same task. Metrics, log line, trace and `Server-Timing` are all read from it.
"""

import random
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter
from typing import Any, Literal

from serving.trace_context import TraceContext

_PRINTABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")
CLIENT_LEFT = 499
"""
The status of a request whose client left before its answer, as nginx has it.
"""


@dataclass(slots=True)
class Record:
    """
    One request.

    Attributes:
        request_id: the client's `x-request-id`, or one made here.
        protocol: what it was asked in.
        route: its path with names in the place of what varies, or its method of gRPC.
        client: the address at the other end of the connection.
        trace: its place in a trace.
        span: what the place is, where traces are exported (`serving.traces`).
        status: HTTP's, for gRPC too; 0 until it is known.
        started: `perf_counter()` at the request's arrival, seconds.
        fields: what else its log line says.
        durations_ms: milliseconds by phase, in the order of the phases.
    """

    request_id: str
    protocol: Literal["rest", "grpc"] = "rest"
    route: str = ""
    client: str = ""
    trace: TraceContext | None = None
    span: Any = None
    status: int = 0
    started: float = field(default_factory=perf_counter)
    fields: dict[str, object] = field(default_factory=dict)
    durations_ms: dict[str, float] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """
        Whether it was answered as it wished.
        """
        return self.status == HTTPStatus.OK

    def elapsed_ms(self) -> float:
        """
        Milliseconds since the request's arrival.
        """
        return (perf_counter() - self.started) * 1000

    def end_phase(self, name: str, *, at: float | None = None) -> None:
        """
        Book everything since the last phase's end (or the arrival) under `name`.

        Args:
            at: when the phase ended, `perf_counter()`; now by default.
        """
        elapsed_ms = self.elapsed_ms() if at is None else (at - self.started) * 1000
        self.durations_ms[name] = elapsed_ms - sum(self.durations_ms.values())

    def server_timing(self) -> str:
        """
        The phases as a `Server-Timing` header (W3C Server Timing), milliseconds.
        """
        return ", ".join(f"{name};dur={duration:.3f}" for name, duration in self.durations_ms.items())

    def headers(self) -> dict[str, str]:
        """
        What tells whoever is asked for this request's sake which one it is.
        """
        told = {"x-request-id": self.request_id}
        return told | self.trace.headers() if self.trace else told


_current: ContextVar[Record] = ContextVar("record")


def begin(client_request_id: str | None) -> Record:
    """
    Open the record of a request and make it the current one; an unusable client id is replaced.
    """
    usable = client_request_id and _PRINTABLE_ID.fullmatch(client_request_id)
    record = Record(client_request_id if client_request_id and usable else f"{random.getrandbits(128):032x}")
    _current.set(record)
    return record


def current() -> Record:
    """
    The record of the request that this task serves; a fresh one outside of any request.
    """
    return _current.get(None) or begin(None)
