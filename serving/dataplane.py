"""
KServe's data plane, telling the truth about this process.
"""

from typing import Any

from kserve.errors import ModelNotFound, ModelNotReady
from kserve.model import BaseKServeModel
from kserve.model_repository import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import InferRequest
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from serving.drain import Drain
from serving.errors import Forbidden


class HonestDataPlane(DataPlane):
    """
    Readiness is that of this process and nothing else (CONTRACT: Operations; KSERVE.md 15 and 17).
    """

    def __init__(self, registry: ModelRepository, drain: Drain) -> None:
        super().__init__(model_registry=registry)
        self._drain = drain

    async def ready(self) -> bool:
        """
        Whether this process can take requests now and is not draining; upstream says true always.
        """
        models = self.model_registry.get_models().values()
        return not self._drain.draining and all([await model.healthy() for model in models])

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:  # noqa: FBT001, FBT002
        """
        Whether the model can answer now; for a probe also whether this process is not draining.

        Args:
            disable_predictor_health_check: true where upstream asks for a request, which is served while draining.

        Raises:
            ModelNotFound: 404, no model of that name.
        """
        model = self.get_model_from_registry(model_name)
        return await model.healthy() and (disable_predictor_health_check or not self._drain.draining)

    async def get_model(self, name: str) -> BaseKServeModel:
        """
        The model to run; upstream calls `load()` on the event loop for one that is not ready.

        Raises:
            ModelNotFound: 404, no model of that name.
            ModelNotReady: 503, it cannot answer now.
        """
        model = self.get_model_from_registry(name)
        if not await model.healthy():
            raise ModelNotReady(name)
        return model

    def metadata(self) -> dict[str, Any]:
        """
        Upstream's metadata with the extensions that there are: models are not loaded by clients (KSERVE.md 2).
        """
        return {**super().metadata(), "extensions": ["binary_tensor_data"]}

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """
        Upstream's metadata with the versions, which it leaves null against the OIP schema (KSERVE.md 13).
        """
        return {**await super().model_metadata(model_name), "versions": await self._versions(model_name)}

    async def check_version(self, model_name: str, version: str | None) -> None:
        """
        Accept a version that the model lists, or none: upstream knows no versions (KSERVE.md 16).

        Raises:
            ModelNotFound: 404, no such model or version.
            ModelNotReady: 503, nobody can tell the versions now.
        """
        if not version:
            self.get_model_from_registry(model_name)
        elif not (versions := await self._versions(model_name)):
            raise ModelNotReady(model_name)
        elif version not in versions:
            raise ModelNotFound(f"{model_name}/versions/{version}")

    async def infer(
        self, model_name: str, request: Any, headers: dict[str, str] | None = None
    ) -> tuple[Any, dict[str, str]]:
        """
        Upstream's inference, whose answer is of the version that was asked for, though the model changed meanwhile.

        Raises:
            ModelNotFound: 404, no such model, or its version is another one now.
        """
        answered: Any = await super().infer(model_name, request, headers)
        response, response_headers = answered
        version = request.model_version if isinstance(request, InferRequest) else None
        if version and response.model_version != version:
            raise ModelNotFound(f"{model_name}/versions/{version}")
        return response, response_headers

    async def _versions(self, model_name: str) -> list[str]:
        model: Any = self.get_model_from_registry(model_name)
        versions: list[str] = await model.current_versions()
        return versions


class ClosedRepository(ModelRepositoryExtension):
    """
    No client may load or unload a model: upstream lets anyone do so, over REST and gRPC (KSERVE.md 2).
    """

    async def load(self, model_name: str) -> None:
        """
        Refuse.

        Raises:
            Forbidden: 403, always.
        """
        raise Forbidden("loading and unloading models is switched off")

    unload = load
