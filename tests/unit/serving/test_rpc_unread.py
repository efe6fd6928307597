from collections.abc import Callable
from typing import Any

import pytest

from serving.errors import Overloaded
from serving.rpc_unread import UnreadAnswers

MEBIBYTE = 1024 * 1024


class Client:
    """
    A connection and its calls.
    """

    def __init__(self, unread: UnreadAnswers, peer: str) -> None:
        self._unread = unread
        self._peer = peer
        self._sent: list[Callable[[Any], None]] = []
        self.bytes = 0

    def peer(self) -> str:
        return self._peer

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._sent.append(callback)

    def leaves(self, size: int) -> bool:
        """
        Whether an answer is given out; it is not read.
        """
        context: Any = self
        try:
            self._unread.add(b"a" * size, context)
        except Overloaded:
            return False
        self.bytes += size
        return True

    def reads(self) -> None:
        """
        Take in all of them.
        """
        for sent in self._sent:
            sent(None)
        self._sent.clear()
        self.bytes = 0


@pytest.mark.parametrize("count", [1, 10, 300, 1200])
def test_others_are_answered(count: int) -> None:
    """
    However many connections leave as many answers unread as they may, memory is bounded, and another gets its own.
    """
    unread = UnreadAnswers()
    clients = [Client(unread, f"ipv4:10.0.0.9:{number}") for number in range(count)]
    while {client.leaves(80_000) for client in clients} != {False}:
        pass
    assert sum(client.bytes for client in clients) <= 128 * MEBIBYTE
    assert Client(unread, "other").leaves(80_000)


def test_memory_is_bounded() -> None:
    """
    However many connections leave answers unread, all of them hold 128 MiB at most, and the last answer.
    """
    unread = UnreadAnswers()
    clients = [Client(unread, f"ipv4:10.0.0.9:{number}") for number in range(3000)]
    while {client.leaves(80_000) for client in clients} != {False}:
        pass
    assert 0 <= sum(client.bytes for client in clients) - 128 * MEBIBYTE <= 80_000


def test_room_comes_back() -> None:
    """
    A connection that has read its answers gets as much as before, and is forgotten.
    """
    unread = UnreadAnswers()
    client = Client(unread, "a")
    most = []
    for _ in range(3):
        while client.leaves(MEBIBYTE):
            pass
        most.append(client.bytes)
        client.reads()
        assert not unread._bytes
    assert most == [most[0]] * 3
    assert most[0] > 8 * MEBIBYTE
