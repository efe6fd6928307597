"""What fails on a Ray cluster, without one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.supervisor import Failure
from scoring import scorer
from scoring.run import Options, run

ray = pytest.importorskip("ray", reason="Ray is an extra")


class Positions:
    """
    Ray Data's, with a worker in this process.
    """

    def __init__(self, positions: list[int], **_options: Any) -> None:
        self._positions = positions

    def map_batches(self, actor: Any, *, fn_constructor_args: tuple[Any, ...], **_options: Any) -> "Positions":
        self._actor = actor(*fn_constructor_args)
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        try:
            for position in self._positions:
                yield {name: column[0] for name, column in self._actor({"item": [position]}).items()}
        finally:
            self._actor._loop.close()


def failure(folder: Path) -> str:
    """
    The line of a run on the cluster.
    """
    table = folder / "in.csv"
    table.write_text("text\nx\n")
    options = Options([str(table)], str(folder / "out"), "text", "input", 500, None, "sentiment", "there:1")
    with pytest.raises(Failure) as failure:
        run(options)
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")  # Ray's of its own settings
def test_what_fails_on_ray_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whether a worker has no model, or the cluster none of the code, a run on Ray ends with one line that says so.
    """
    from scoring import on_ray  # noqa: PLC0415  # needs Ray

    monkeypatch.setattr(on_ray, "_connect", lambda *_arguments: None)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    monkeypatch.setattr(ray, "shutdown", lambda: None)

    def no_model(*_arguments: Any, **_options: Any) -> None:
        raise Failure("no model here")

    monkeypatch.setattr(scorer, "Engine", no_model)
    monkeypatch.setattr(ray.data, "from_items", Positions)
    assert failure(tmp_path).startswith("no model here")

    def no_code(*_arguments: Any, **_options: Any) -> None:
        raise ray.exceptions.RaySystemError("an actor died:\ntrace\nModuleNotFoundError: no code here")

    monkeypatch.setattr(ray.data, "from_items", no_code)
    assert "no code here; what is finished" in failure(tmp_path)
