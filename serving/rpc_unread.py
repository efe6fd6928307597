"""
Answers over gRPC that clients have not taken in: bounded in memory, and no connection's fill the room of the others.
"""

from collections import Counter
from functools import partial

from serving.errors import Overloaded
from serving.rpc_peer import Context

# On all connections; gRPC's own copy makes it twice as much.
_MAX_BYTES = 64 * 1024 * 1024
# What one may have of the room that is left. Who has nothing unread is let in while the last answers overshoot it.
_SHARE = 1 / 4


class UnreadAnswers:
    """
    Counts answers from when they are given to gRPC until it has sent them.
    """

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()  # by connection

    def add(self, answer: bytes, context: Context) -> None:
        """
        Count the answer to a call.

        Raises:
            Overloaded: 429, too many wait on its connection.
        """
        peer = context.peer()
        held, total = self._bytes[peer], self._bytes.total()
        if held >= _SHARE * (_MAX_BYTES - total) and (held or total >= 2 * _MAX_BYTES):
            raise Overloaded("too many answers wait to be read; read them, or try again shortly")
        self._bytes[peer] += len(answer)
        context.add_done_callback(partial(self._sent, peer, len(answer)))  # type: ignore[arg-type]  # a function will do

    def _sent(self, peer: str, count: int, _context: Context) -> None:
        self._bytes[peer] -= count
        if not self._bytes[peer]:
            del self._bytes[peer]
