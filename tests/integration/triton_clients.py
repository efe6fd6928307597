"""
tritonclient's four clients, beside KServe's stubs in one process.

Both bring protobuf messages named `inference.…`, and a descriptor pool takes a name once: tritonclient's get a pool
of their own.
"""

import asyncio
import inspect
from types import ModuleType, TracebackType
from typing import Any, Self
from unittest import mock

import tritonclient.http
import tritonclient.http.aio
from google.protobuf import descriptor_pool

from processes import Service

with mock.patch.object(descriptor_pool, "Default", return_value=descriptor_pool.DescriptorPool()):
    import tritonclient.grpc
    import tritonclient.grpc.aio

MODULES: dict[str, ModuleType] = {
    "http": tritonclient.http,
    "http.aio": tritonclient.http.aio,
    "grpc": tritonclient.grpc,
    "grpc.aio": tritonclient.grpc.aio,
}


class Triton:
    """
    One of the four clients; what its asynchronous calls give is awaited, so that all four are asked alike.

    Args:
        name: which one.
        service: whom it asks.
    """

    def __init__(self, name: str, service: Service) -> None:
        self.module = MODULES[name]
        self.is_grpc = name.startswith("grpc")
        self.is_async = name.endswith("aio")
        self._url = f"127.0.0.1:{service.grpc_port if self.is_grpc else service.port}"

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self.client = self.wait_for(self._connect())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self("close")
        self._runner.close()

    def __call__(self, call: str, *args: Any, **options: Any) -> Any:
        """
        Make one call of the client's.
        """
        result = getattr(self.client, call)(*args, **options)
        return self.wait_for(result) if inspect.isawaitable(result) else result

    def as_dict(self, call: str, *args: Any) -> dict[str, Any]:
        """
        Make a call that answers JSON over HTTP, and a message over gRPC unless it is asked otherwise.
        """
        result: dict[str, Any] = self(call, *args, **({"as_json": True} if self.is_grpc else {}))
        return result

    def tensor(self, array: Any, *, datatype: str = "BYTES", name: str = "text", **options: Any) -> Any:
        """
        An input of the client's own type.

        Args:
            options: of `set_data_from_numpy`.
        """
        tensor = self.module.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, **options)
        return tensor

    def outputs(self, names: list[str] | None, **options: Any) -> list[Any] | None:
        """
        Requested outputs of the client's own type.
        """
        return names and [self.module.InferRequestedOutput(name, **options) for name in names]

    def wait_for(self, awaitable: Any) -> Any:
        """
        What an asynchronous call gives in the end.
        """

        async def wait() -> Any:
            return await awaitable

        return self._runner.run(wait())

    async def _connect(self) -> Any:
        # within a running loop, to which the asynchronous clients bind themselves
        return self.module.InferenceServerClient(self._url)
