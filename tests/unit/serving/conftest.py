"""A model of the plainest kind, behind the real data plane."""

from typing import Any

import pytest
from kserve import InferRequest, InferResponse
from kserve.model_repository import ModelRepository

from serving import predictions, texts
from serving.dataplane import HonestDataPlane
from serving.drain import Drain
from serving.model import ServedModel


class Echo(ServedModel):
    """
    Answers each text with a sure score; fails on the text `fail`, in words that no client may see.
    """

    versions = ["r1"]  # type: ignore[assignment]  # noqa: RUF012

    async def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        request = payload if isinstance(payload, InferRequest) else None
        if request:
            predictions.check_outputs(request)
        read = texts.from_infer(request, max_texts=9) if request else texts.from_v1(payload, max_texts=9)
        return request, read

    async def predict(self, question: Any, headers: Any, response_headers: dict[str, str]) -> Any:
        request, read = question
        if "fail" in read:
            raise RuntimeError("at 10.0.0.7: fail")
        return request, [[1.0, 0.0]] * len(read)

    async def postprocess(self, answer: Any, headers: Any, response_headers: Any) -> dict[str, object] | InferResponse:
        request, rows = answer
        if request is None:
            return predictions.to_v1(["A", "B"], rows)
        return predictions.to_infer(request, self.name, revision="r1", labels=["A", "B"], rows=rows)

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": "text", "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}]


@pytest.fixture
async def model() -> Echo:
    """
    A model that is ready.
    """
    echo = Echo("m")
    await echo.open()
    return echo


@pytest.fixture
def drain() -> Drain:
    """
    A process that still wants work.
    """
    return Drain()


@pytest.fixture
def dataplane(model: Echo, drain: Drain) -> HonestDataPlane:
    """
    The data plane of a process with that model.
    """
    models = ModelRepository()
    models.update(model)
    return HonestDataPlane(models, drain)
