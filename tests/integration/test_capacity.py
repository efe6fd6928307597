"""The capacity model on a real service, for a few seconds."""

import json
import subprocess
import sys

import pytest

from processes import ROOT
from sizing import check, measure
from sizing.outcome import Load
from sizing.traffic import Traffic


def test_model_is_held_against_a_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A machine is measured, a load is predicted and played, and every request of it is answered.
    """
    monkeypatch.setattr(measure, "_WARM_UP_SECONDS", 0.2)
    monkeypatch.setattr(measure, "_SECONDS", 0.6)
    monkeypatch.setattr(check, "TRAFFIC", Traffic(vocabulary=500, ttl_seconds=1))
    monkeypatch.setattr(check, "_load", lambda rate: Load(1, 3, rate=rate and min(rate, 20.0), clients=2))
    figures = measure.measure("fp32")
    assert figures.texts_per_second(25) > 0
    assert figures.redis_entry_bytes > 50
    for comparison in check.check(figures):
        rows = {row.name: row for row in comparison.rows}
        assert rows["requests/s"].measured > 0
        assert 0 < rows["hit ratio"].measured < 1
        assert rows["refused"].measured == 0
        assert rows["cores: compute"].measured > 0


def test_plan_is_for_programs_too() -> None:
    """
    `scripts/capacity plan --json` says what each scale needs, and what breaks first.
    """
    command = [sys.executable, "scripts/capacity.py", "plan", "--json"]
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    assert [scale["requests_per_second"] for scale in told["scales"]] == [1e2, 1e4, 1e6]
    assert all(scale["breaks_first"] in scale["used"] for scale in told["scales"])
