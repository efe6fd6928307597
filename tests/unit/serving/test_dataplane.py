from unittest.mock import AsyncMock

import pytest
from kserve import InferInput, InferRequest
from kserve.errors import ModelNotFound, ModelNotReady
from kserve.model_repository import ModelRepository

from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.errors import Forbidden
from serving.model import ServedModel


@pytest.mark.parametrize(("healthy", "draining"), [(True, False), (True, True), (False, False), (False, True)])
async def test_ready(
    dataplane: HonestDataPlane, model: ServedModel, drain: Drain, healthy: bool, draining: bool
) -> None:
    """
    The process is ready exactly while its models can answer and it is not draining.
    """
    model.ready, drain.draining = healthy, draining
    assert await dataplane.ready() == (healthy and not draining)


async def test_get_model(dataplane: HonestDataPlane, model: ServedModel, drain: Drain) -> None:
    """
    The model is given while it can answer, and while draining too: requests that still arrive are served.
    """
    drain.draining = True
    assert await dataplane.get_model("m") is model


async def test_get_unready_model(dataplane: HonestDataPlane, model: ServedModel) -> None:
    """
    A model that cannot answer is refused and not loaded (KSERVE.md 15).
    """
    await model.close()
    with pytest.raises(ModelNotReady):
        await dataplane.get_model("m")
    assert not model.ready


async def test_unknown_model(dataplane: HonestDataPlane) -> None:
    """
    A model that does not exist is not found, whatever is asked of it.
    """
    for asked in (dataplane.get_model("x"), dataplane.model_metadata("x"), dataplane.model_ready("x")):
        with pytest.raises(ModelNotFound):
            await asked
    with pytest.raises(ModelNotFound):
        await dataplane.check_version("x", "r1")


async def test_versions(dataplane: HonestDataPlane) -> None:
    """
    Metadata lists the model's versions, and exactly these are accepted.
    """
    assert (await dataplane.model_metadata("m"))["versions"] == ["r1"]
    for version in ("r1", "", None):
        await dataplane.check_version("m", version)
    with pytest.raises(ModelNotFound):
        await dataplane.check_version("m", "r2")


async def test_version_that_nobody_can_tell(
    dataplane: HonestDataPlane, model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While nobody knows the model's versions, to ask for one is too early and not wrong.
    """
    monkeypatch.setattr(model, "current_versions", AsyncMock(return_value=[]))
    with pytest.raises(ModelNotReady):
        await dataplane.check_version("m", "r1")
    await dataplane.check_version("m", None)


def test_extensions(dataplane: HonestDataPlane) -> None:
    """
    The server names the extensions that it has: binary tensors, and no repository.
    """
    assert dataplane.metadata()["extensions"] == ["binary_tensor_data"]


@pytest.mark.parametrize(("version", "found"), [(None, True), ("", True), ("r1", True), ("r0", False)])
async def test_answered_version(dataplane: HonestDataPlane, version: str | None, found: bool) -> None:
    """
    No answer of one version is given for another, though it was listed when the request came.
    """
    tensor = InferInput("text", [1], "BYTES", data=["a"])
    asked = dataplane.infer("m", InferRequest("m", [tensor], model_version=version), {})
    if found:
        assert (await asked)[0].model_version == "r1"
    else:
        with pytest.raises(ModelNotFound):
            await asked


async def test_closed_repository(model: ServedModel) -> None:
    """
    No client loads or unloads a model.
    """
    models = ModelRepository()
    models.update(model)
    repository = ClosedRepository(models)
    for change in (repository.load, repository.unload):
        for name in ("m", "x"):
            with pytest.raises(Forbidden):
                await change(name)
    assert models.get_model("m") is model
    assert model.ready
