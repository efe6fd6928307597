"""
The rows, one after the other, on one stack.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from redis.exceptions import RedisError

from fault import progress
from fault.form import Form
from fault.row import Result, Row
from fault.scene import Scene
from fault.stack import Stack
from fault.texts import Texts
from fault.verdict import Check, Verdict
from local import redis_server
from local.supervisor import Failure


def run(rows: Sequence[Row], form: Form, folder: Path, logs: Path | None) -> list[Verdict]:
    """
    Play rows.

    Args:
        folder: for what is needed meanwhile.
        logs: folder for what the processes write, where somebody wants to read it.

    Raises:
        Failure: the stack does not start.
        KeyboardInterrupt: a signal asked to end; nothing runs any more.
    """
    # A child's start and end are told to no one: there are dozens.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.redirect_stdout(None):
        try:
            return runner.run(_run(rows, form, folder, logs))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _run(rows: Sequence[Row], form: Form, folder: Path, logs: Path | None) -> list[Verdict]:
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)  # type: ignore[union-attr]  # in a task
    server = redis_server.find()
    if not server:
        raise Failure("no Redis server was found; install redis-server or valkey-server")
    stack, verdicts = Stack(server, folder, form, logs), []
    other = any(row.other for row in rows)
    try:
        with progress.shown({row.name: row.seconds(form) for row in rows}) as bar:
            bar.begin("starting the stack")
            await stack.open(through=any(row.through for row in rows), other=other)
            bar.begin("learning the right answers")
            scene = Scene(stack, Texts(), form)
            await scene.learn(other=other)
            for row in rows:
                bar.begin(f"{row.name}: {row.fault}")
                verdicts.append(await _play(row, scene))
                bar.end(row.name, verdicts[-1].lines()[0])
    finally:
        await stack.close()
    return verdicts


async def _play(row: Row, scene: Scene) -> Verdict:
    began = time.monotonic()
    stack, form = scene.stack, scene.form
    try:
        await stack.mend()
        async with scene.entered(stack.through if row.through else stack.direct, row.seconds(form)):
            checks, outcomes = await row.play(scene)
    except (Failure, OSError, RedisError) as error:
        checks, outcomes = Result([Check("the row can be played", held=False, figure=str(error))], [])
    ends = stack.ends()
    checks = [*checks, Check("no process ended by itself", not ends, ", ".join(ends) or "none did")]
    return Verdict(row.name, row.fault, checks, outcomes, time.monotonic() - began, counted=form.timed)
