"""
The client of a request, as the connection knows it and the layers above want to.

ASGI tells that a client has left to whoever awaits `receive`, which takes a task a request; and it has no word for a
body that turns out to be no HTTP.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect

from serving.errors import ServiceError


@dataclass(slots=True)
class Client:
    """
    One request's client.

    Attributes:
        fault: what is wrong with the body on its way; it is the request's answer.
    """

    fault: ServiceError | None = None
    _left: bool = False
    _work: asyncio.Task[object] | None = None

    def leave(self) -> None:
        """
        It is gone: whoever works for it need not go on.
        """
        self._left = True
        if self._work:
            self._work.cancel()

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """
        Work that is cancelled when the client leaves: uvicorn lets it run on, and the answer would go to nobody.

        Raises:
            ClientDisconnect: it left.
        """
        self._work = work = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if work and self._left:
                work.uncancel()
                raise ClientDisconnect from None
            raise
        finally:
            self._work = None


def of(scope: Mapping[str, Any]) -> Client:
    """
    The client of the request with this scope; without a connection of ours, one that stays.
    """
    client: Client = scope.get("state", {}).setdefault("client", Client())
    return client
