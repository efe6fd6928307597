import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.alerts import RUNBOOK
from watching.prometheus import RULES

CASES = sorted((Path(__file__).parent / "promtool").glob("*.yaml"))
ALERTS = [
    rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule
]


def test_rules_are_valid(promtool: str) -> None:
    """
    Prometheus' own checker finds no fault in the rules.
    """
    _succeed(promtool, "check", "rules", str(RULES))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_alerts_fire_when_they_should(promtool: str, case: Path, tmp_path: Path) -> None:
    """
    An alert fires on what it is for, with the words that a person gets, and on nothing else.
    """
    whole = tmp_path / case.name
    whole.write_text(f"rule_files: [{RULES}]\n{case.read_text().replace('RUNBOOK#', f'{RUNBOOK}#')}")
    _succeed(promtool, "test", "rules", str(whole))


@pytest.mark.parametrize("alert", ALERTS)
def test_both_ways(alert: str) -> None:
    """
    Every alert is tried on what it is for and on what only looks like it.
    """
    tried = [
        bool(expected["exp_alerts"])
        for case in CASES
        for each in yaml.safe_load(case.read_text())["tests"]
        for expected in each["alert_rule_test"]
        if expected["alertname"] == alert
    ]
    assert set(tried) == {True, False}


def _succeed(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
