"""
The real stack: Redis, predictors, transformers, and our proxies between them.

Two transformers share Redis and the predictor: one reaches both directly, the other through the proxies.
"""

from pathlib import Path

import redis.asyncio as redis_py

from fault import model
from fault.form import Form
from fault.process import Process, Redis, Service
from fault.proxy import HttpProxy, TcpProxy
from predictor.settings import EMBEDDED_MODEL

# Small, so that it is full soon: what grows afterwards grows for another reason.
_LOCAL_CACHE_BYTES = 512 * 1024
_ADMIN_SECONDS = 5


class Stack:
    """
    All parts, by name.

    Args:
        server: the Redis server.
        folder: for the other model.
        form: for the settings.
        logs: folder for a line a request and more; without it only what goes wrong is written, beside the model.

    Attributes:
        other: a predictor of the other model, on a port of its own.
        direct: the transformer that reaches Redis and the predictor directly.
        through: the one that reaches them through the proxies.
        admin: a client of Redis.
    """

    direct: Service
    through: Service

    def __init__(self, server: str, folder: Path, form: Form, logs: Path | None) -> None:
        self.other_model = folder / "other-model"
        self._logs = logs or folder
        self._settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "info" if logs else "warning", **form.settings}
        self._form = form
        self.redis = Redis(server, folder, self._logs)
        self.predictor = self._predictor("predictor", EMBEDDED_MODEL)
        self.other = self._predictor("other-predictor", self.other_model)
        self.redis_proxy = TcpProxy(self.redis.port)
        self.predictor_proxy = HttpProxy(self.predictor.port)
        self.admin = redis_py.Redis(port=self.redis.port, socket_timeout=_ADMIN_SECONDS)
        self._needed: list[Process] = []

    async def open(self, *, through: bool, other: bool) -> None:
        """
        Start what is needed.
        """
        await self.redis_proxy.open()
        await self.predictor_proxy.open()
        self.direct = self._transformer("transformer", self.redis.port, self.predictor.port)
        self.through = self._transformer("through-transformer", self.redis_proxy.port, self.predictor_proxy.port)
        if other:
            model.write_other(EMBEDDED_MODEL, self.other_model)
        self._needed = [self.redis, self.predictor, self.direct]
        self._needed += [self.through] * through + [self.other] * other
        for process in self._needed:
            process.start()
        await self._all_ready()

    async def close(self) -> None:
        """
        Leave nothing behind.
        """
        for process in self._needed:
            process.kill()
        await self.admin.aclose()
        await self.redis_proxy.close()
        await self.predictor_proxy.close()

    def ends(self) -> list[str]:
        """
        How processes ended that no row killed.
        """
        return [process.end for process in self._needed if process.end]

    async def mend(self) -> None:
        """
        Undo every fault; Redis is empty then.
        """
        self.redis_proxy.delay = self.redis_proxy.cut = 0.0
        self.predictor_proxy.delay = float
        self.predictor_proxy.aim(self.predictor.port)
        self.redis.kill()
        for process in self._needed:
            if process.runs:
                process.go_on()
            else:
                process.start()
        await self._all_ready()

    async def _all_ready(self) -> None:
        for process in self._needed:
            await process.ready()

    def _predictor(self, name: str, model: Path) -> Service:
        return Service(name, "predictor", self._logs, {**self._settings, "MODEL_DIR": str(model)})

    def _transformer(self, name: str, redis_port: int, predictor_port: int) -> Service:
        environment = {
            **self._settings,
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "REDIS_TIMEOUT_MS": str(round(self._form.redis_timeout * 1000)),
            "LOCAL_CACHE_BYTES": str(_LOCAL_CACHE_BYTES),
            "PREDICTOR_TIMEOUT_SECONDS": str(self._form.predictor_timeout),
            "REVISION_REFRESH_SECONDS": str(self._form.refresh),
        }
        return Service(name, "transformer", self._logs, environment, "--predictor_host", f"127.0.0.1:{predictor_port}")
