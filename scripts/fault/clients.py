"""
The rows of clients that leave in the middle, and of clients that stay for long: nothing is left of them.
"""

import asyncio

import psutil

from fault.checks import mixed, right, status
from fault.load import mixed as mixed_load
from fault.row import Result, Row
from fault.scene import Scene
from fault.verdict import Check
from fault.watch import Watch

_LEAVING_SHARE = 0.3
_FILLING_REQUESTS = 20
_FILLING_TEXTS = 50
_IDLE_CPU_SHARE = 0.1
_LOOK_SECONDS = 0.3


async def _play_leaving(scene: Scene) -> Result:
    load = scene.load()
    load.leaving = _LEAVING_SHARE
    async with load.running(scene.form.rate, mixed_load):
        await asyncio.sleep(scene.form.before + scene.form.during + scene.form.after)
    scene.client.close()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await scene.until(lambda: _is_idle(scene), "nothing is left in flight")
    checks = [
        status("every answer is 200", load.outcomes),
        right(load.outcomes),
        mixed(load.outcomes),
        Check("many clients left", load.left > 0, str(load.left)),
        Check("no connection of theirs and no work is left", held=True, figure=f"after {loop.time() - began:.1f} s"),
    ]
    return Result(checks, load.outcomes)


async def _is_idle(scene: Scene) -> bool:
    """
    Whether the transformer has no client, the predictor no connection that its other end has closed, and neither work.
    """
    transformer, predictor = (psutil.Process(each.pid) for each in (scene.stack.direct, scene.stack.predictor))
    clients = [
        each
        for each in transformer.connections("tcp")
        if each.laddr.port == scene.stack.direct.port and each.status != psutil.CONN_LISTEN
    ]
    half_closed = [each for each in predictor.connections("tcp") if each.status == psutil.CONN_CLOSE_WAIT]
    for process in (transformer, predictor):
        process.cpu_percent()
    await asyncio.sleep(_LOOK_SECONDS)
    busy = sum(process.cpu_percent() for process in (transformer, predictor)) / 100
    return not clients and not half_closed and busy < _IDLE_CPU_SHARE


async def _play_long(scene: Scene) -> Result:
    load = scene.load()
    for _ in range(_FILLING_REQUESTS):
        await scene.ask_new(_FILLING_TEXTS)
    watch = Watch({"transformer": scene.stack.direct, "predictor": scene.stack.predictor})
    async with load.running(scene.form.rate, mixed_load):
        await asyncio.sleep(scene.form.warm_up)
        async with watch.running():
            await asyncio.sleep(scene.form.long)
    checks = [
        status("every answer is 200", load.outcomes),
        right(load.outcomes),
        mixed(load.outcomes),
        *watch.memory_checks(),
        *watch.files_checks(),
    ]
    return Result(checks, load.outcomes)


ROWS = [
    Row("clients-leaving", "30 % of the clients leave in the middle", _play_leaving),
    Row("long-load", "mixed load for ten minutes", _play_long, seconds=lambda form: form.warm_up + form.long),
]
