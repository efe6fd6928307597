from typing import Any

import pytest

from serving import record
from serving.model import ServedModel


async def test_life(model: ServedModel) -> None:
    """
    A model is ready from `open` to `close`, and neither before nor after.
    """
    assert not type(model)("other").ready
    assert model.ready
    await model.close()
    assert not model.ready


async def test_hooks(model: ServedModel) -> None:
    """
    A request passes through the hooks in turn, and its answer carries their phases as `server-timing`.
    """
    current = record.begin(None)
    answer, headers = await model({"text": ["a", "b"]}, {})
    assert len(answer["predictions"]) == 2
    assert headers["server-timing"] == current.server_timing()
    assert list(current.durations_ms) == ["render"]


@pytest.mark.parametrize("payload", [None, 3, [], ("a",), {"inputs": 1}])
def test_validate(model: ServedModel, payload: Any) -> None:
    """
    Whatever `preprocess` made goes on to `predict` (KSERVE.md 25).
    """
    assert model.validate(payload) is payload


async def test_failure(model: ServedModel) -> None:
    """
    A hook's exception comes out as it is.
    """
    with pytest.raises(RuntimeError, match="fail"):
        await model({"text": "fail"}, {})
