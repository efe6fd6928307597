import re
from pathlib import Path

import pytest
import yaml

from monitoring import prometheus
from monitoring.alerts import RUNBOOK as RUNBOOK_URL
from monitoring.boards import BOARDS
from monitoring.files import ROOT, files

RUNBOOK = (ROOT / "monitoring" / "RUNBOOK.md").read_text()
ALERTS = [rule for group in prometheus.groups() for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_files_are_those_of_the_source(path: Path) -> None:
    """
    Dashboards and rules are what scripts/dashboards writes of their source.
    """
    assert path.read_text() == files()[path]


def test_no_other_dashboards() -> None:
    """
    Every dashboard there is has a source.
    """
    written = {path.name for path in files()}
    assert {path.name for path in (ROOT / "monitoring" / "dashboards").iterdir()} <= written


def test_both_forms_have_the_same_rules() -> None:
    """
    The operator's resource has the groups of the plain rule file.
    """
    resource, plain = yaml.safe_load(prometheus.prometheus_rule()), yaml.safe_load(prometheus.rule_file())
    assert resource["spec"]["groups"] == plain["groups"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_is_complete(alert: dict[str, dict[str, str]]) -> None:
    """
    Every alert has a severity, a summary, a description, and a runbook's section of its own, to which it links.
    """
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert all(alert["annotations"][name] for name in ("summary", "description"))
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK_URL}#{str(alert['alert']).lower()}"
    assert f"\n## {alert['alert']}\n" in RUNBOOK


def test_links_lead_somewhere() -> None:
    """
    The alerts' links can be followed from wherever an alert is read.
    """
    assert re.fullmatch(r"https?://[^\s#]+/RUNBOOK\.md", RUNBOOK_URL)


def test_every_alert_is_counted() -> None:
    """
    The service's board counts every alert of ours that fires.
    """
    [query] = next(panel.queries for panel in BOARDS[0].panels if panel.title == "Alerts")
    [names] = re.findall(r'alertname=~"([^"]*)"', query.expr)
    assert all(re.fullmatch(names, str(alert["alert"])) for alert in ALERTS)


def test_runbook_has_no_other_sections() -> None:
    """
    Every section of the runbook is of an alert, and its links lead to sections.
    """
    names = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(names) == sorted(str(alert["alert"]) for alert in ALERTS)
    assert {link.lower() for link in re.findall(r"\]\(#(\w+)\)", RUNBOOK)} <= {name.lower() for name in names}


def test_runbook_names_panels() -> None:
    """
    Every panel that the runbook names is there, on the board that it names.
    """
    panels = {board.title.removeprefix("Sentiment: "): {panel.title for panel in board.panels} for board in BOARDS}
    named = re.findall(r"\*(Service|Predictor|Cost and capacity|Model): ([^*]+)\*", RUNBOOK)
    assert named
    for board, panel in named:
        assert any(title.startswith(panel.replace("\n", " ")) for title in panels[board.lower()]), (board, panel)
