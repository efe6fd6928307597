"""
What is done to Redis, and undone.
"""

import itertools
import os
import random
import struct

from fault.scene import MODEL, Scene
from local.supervisor import free_port
from transformer import entry

_PASSWORD = "changed"  # noqa: S105  # of a Redis that lives for a minute
_CUT_SHARE = 0.5
_NAN = float("nan")


async def kill(scene: Scene) -> None:
    """
    SIGKILL.
    """
    scene.stack.redis.kill()


async def start(scene: Scene) -> None:
    """
    Start it again, empty.
    """
    scene.stack.redis.start()
    await scene.stack.redis.ready()


async def restart(scene: Scene) -> None:
    """
    Kill it, and start it again.
    """
    await kill(scene)
    await start(scene)


async def hang(scene: Scene) -> None:
    """
    SIGSTOP.
    """
    scene.stack.redis.hang()


async def go_on(scene: Scene) -> None:
    """
    SIGCONT.
    """
    scene.stack.redis.go_on()


async def fill(scene: Scene) -> None:
    """
    Leave no memory for anything more, and evict nothing.
    """
    used = (await scene.stack.admin.info("memory"))["used_memory"]
    await scene.stack.admin.config_set("maxmemory-policy", "noeviction")
    await scene.stack.admin.config_set("maxmemory", used)


async def give_room(scene: Scene) -> None:
    """
    Leave memory again.
    """
    await scene.stack.admin.config_set("maxmemory", 0)


async def demote(scene: Scene) -> None:
    """
    Make it a replica, which only reads, of a primary that is away.
    """
    await scene.stack.admin.replicaof("127.0.0.1", str(free_port()))


async def promote(scene: Scene) -> None:
    """
    Make it a primary again.
    """
    await scene.stack.admin.replicaof("NO", "ONE")


async def change_password(scene: Scene) -> None:
    """
    Ask for a password that nobody knows, and for new connections.
    """
    await scene.stack.admin.config_set("requirepass", _PASSWORD)
    await scene.stack.admin.client_kill_filter(_type="normal", skipme=True)


async def drop_password(scene: Scene) -> None:
    """
    Ask for none.
    """
    await scene.stack.admin.config_set("requirepass", "")


async def slow_down(scene: Scene) -> None:
    """
    Answer late.
    """
    scene.stack.redis_proxy.delay = scene.form.added_delay


async def cut(scene: Scene) -> None:
    """
    Break off in the middle of every other answer.
    """
    scene.stack.redis_proxy.cut = _CUT_SHARE


async def carry_well(scene: Scene) -> None:
    """
    Answer whole and at once.
    """
    scene.stack.redis_proxy.delay = scene.stack.redis_proxy.cut = 0.0


async def overwrite(scene: Scene) -> None:
    """
    Put another wrong value in place of every answer, and of what is remembered.
    """
    redis, numbers = scene.stack.admin, itertools.count()
    pipeline = redis.pipeline(transaction=False)
    async for key in redis.scan_iter(entry.pattern_of(MODEL)):
        row = scene.texts.row(scene.main, random.choice(scene.texts.short))
        wrong = _wrong_values(key.decode(), row, scene.main)
        pipeline.set(key, wrong[next(numbers) % len(wrong)])
    pipeline.set(entry.remembered_key(MODEL), b'{"revision": "0", "labels": [1]}')
    await pipeline.execute()


def _wrong_values(key: str, row: entry.Row, revision: str) -> list[bytes]:
    """
    Values that are no answer to this key's text, many of them well-formed.
    """
    true_form = entry.pack(key, row)
    other_text = entry.key_of(MODEL, revision, "another text")
    other_revision = key.replace(revision, "0" * len(revision))
    return [
        b"",
        b"junk",
        os.urandom(len(true_form)),
        true_form[:-1],
        true_form * 2,
        entry.pack(other_text, row),
        entry.pack(other_revision, row),
        struct.pack(f"<{len(row)}f", *row[::-1]) + true_form[4 * len(row) :],
        entry.pack(key, (_NAN,) * len(row)),
        entry.pack(key, (1.5,) * len(row)),
        entry.pack(key, (*row, 0.0)),
    ]
