import gc
import itertools
import socket
from collections.abc import Iterator

import pytest

from serving.server import Server
from serving.settings import ServingSettings

NAMES = itertools.count()  # metrics are one set a process and name


@pytest.fixture
def server(own_logs: None) -> Iterator[Server]:
    """
    A server that is bound to a free port and serves nothing.
    """
    server = Server(f"service_{next(NAMES)}", ServingSettings(), http_port=0, grpc_port=0)
    yield server
    server._listener.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux's")
def test_unread_answers(server: Server) -> None:
    """
    A client that stops reading its answer does not keep its connection for longer than half a minute.
    """
    assert 0 < server._listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000


def _refusal(port: int) -> str:
    try:
        Server(f"service_{next(NAMES)}", ServingSettings(), http_port=port, grpc_port=0)._listener.close()
    except (SystemExit, OverflowError) as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the process ends there
@pytest.mark.parametrize("port", [-1, 70000, None])
def test_port(server: Server, port: int | None) -> None:
    """
    A port that cannot be, or that another process has taken though it still loads, ends the process with one line.
    """
    asked = server._listener.getsockname()[1] if port is None else port
    message = _refusal(asked)
    gc.collect()
    assert message.startswith("error: ")
    assert str(asked) in message
    assert "\n" not in message
