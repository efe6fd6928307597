"""
What one request is known by while it runs: its id, its clock, and the fields of its log line.

Hooks of a KServe model get no request object, so the record travels in a context variable: REST and gRPC alike set
it before the hooks run, in the same task.
"""

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter

_PRINTABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(slots=True)
class Record:
    """
    One request.

    Attributes:
        request_id: the client's `x-request-id`, or one made here.
        started: `perf_counter()` at the request's arrival, seconds.
        fields: what the request's log line says beyond method, route, status and time.
        durations_ms: milliseconds by phase, in the order of the phases.
    """

    request_id: str
    started: float = field(default_factory=perf_counter)
    fields: dict[str, object] = field(default_factory=dict)
    durations_ms: dict[str, float] = field(default_factory=dict)

    def elapsed_ms(self) -> float:
        """
        Milliseconds since the request's arrival.
        """
        return (perf_counter() - self.started) * 1000

    def end_phase(self, name: str) -> None:
        """
        Book everything since the last phase's end (or the arrival) under `name`.
        """
        self.durations_ms[name] = self.elapsed_ms() - sum(self.durations_ms.values())

    def server_timing(self) -> str:
        """
        The phases as a `Server-Timing` header (W3C Server Timing), milliseconds.
        """
        return ", ".join(f"{name};dur={duration:.3f}" for name, duration in self.durations_ms.items())


_current: ContextVar[Record] = ContextVar("record")


def begin(client_request_id: str | None) -> Record:
    """
    Open the record of a request and make it the current one; an unusable client id is replaced.
    """
    usable = client_request_id and _PRINTABLE_ID.fullmatch(client_request_id)
    record = Record(client_request_id if client_request_id and usable else uuid.uuid4().hex)
    _current.set(record)
    return record


def current() -> Record:
    """
    The record of the request that this task serves; a fresh one outside of any request.
    """
    return _current.get(None) or begin(None)
