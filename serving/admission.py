"""
What this process takes on at once; beyond it a request is refused at once, before its body is read.

REST and gRPC share one `Admission`. Health, metadata and metrics never come here, so that a process under load is
neither restarted nor lost from sight.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from starlette.datastructures import Headers

from serving.errors import Overloaded

# Bodies of the largest size that may be in memory at once: far more than any load whose answers come in time.
LARGEST_BODIES = 16
# Not counted of each body: a connection may hold so much in any case, since uvicorn reads so far ahead. So large bodies
# that are sent slowly keep out large ones only.
FREE_BYTES = 64 * 1024


class RateLimit(Protocol):
    """
    A limit to how often one client may come.
    """

    async def admit(self, headers: Headers, peer: str) -> None:
        """
        Count a request.

        Args:
            headers: of the request; gRPC's metadata alike.
            peer: the address at the other end of the connection.

        Raises:
            RateLimited: 429, its client comes too often.
        """

    async def close(self) -> None:
        """
        Let go of everything.
        """


class Admission:
    """
    So many requests at work, so many bytes of bodies in memory, and a rate for each client where one is set.

    A request holds bytes from its first chunk on and a place once it is whole: a slow sender keeps nobody out.

    Args:
        max_requests: requests at work at once.
        max_body_bytes: bytes of all their bodies beyond `FREE_BYTES` of each, those still arriving included.
        rate_limit: None for no limit.

    Attributes:
        requests: how many are at work.
        admitted: how many there were in all.
    """

    def __init__(self, *, max_requests: int, max_body_bytes: int, rate_limit: RateLimit | None = None) -> None:
        self.max_requests = max_requests
        self._max_body_bytes = max_body_bytes
        self._rate_limit = rate_limit
        self.requests = self.admitted = 0
        self._body_bytes = 0

    async def admit(self, headers: Headers, peer: str) -> None:
        """
        Let a request in, as far as its head tells; its body may be read then. See `RateLimit.admit`.

        Raises:
            Overloaded: 429, every place is taken.
            RateLimited: 429, its client comes too often.
        """
        self._check_places()
        if self._rate_limit:
            await self._rate_limit.admit(headers, peer)

    @contextlib.contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """
        Account for a body until its request is over.

        Yields:
            to be called with the number of bytes before each part is kept; raises `Overloaded` (429) past the limit.
        """
        size = held = 0

        def hold(count: int) -> None:
            nonlocal size, held
            size += count
            more = max(0, size - FREE_BYTES) - held
            if self._body_bytes + more > self._max_body_bytes:
                raise Overloaded("too many large requests are being read; try again shortly, or send fewer texts")
            held += more
            self._body_bytes += more

        try:
            yield hold
        finally:
            self._body_bytes -= held

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """
        Take a place for a request whose body has arrived, until it is over.

        Raises:
            Overloaded: 429, the last place was taken since.
        """
        self._check_places()
        self.requests += 1
        self.admitted += 1
        try:
            yield
        finally:
            self.requests -= 1

    def _check_places(self) -> None:
        if self.requests >= self.max_requests:
            raise Overloaded(f"{self.max_requests} requests are being answered already; try again shortly")
