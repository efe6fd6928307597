"""
The rules as Prometheus reads them: a plain rule file, and the resource of Prometheus' operator.
"""

from typing import Any

import yaml

from monitoring import alerts, slo
from monitoring.rule import Alert, Record

Yaml = dict[str, Any]


def groups() -> list[Yaml]:
    """
    The groups of both files: one, whose rules are evaluated in their order, so that alerts read what was just recorded.
    """
    recorded = [_record(record) for record in (*slo.records(), *alerts.RECORDS)]
    watched = [_alert(alert) for alert in (*slo.alerts(), *alerts.ALERTS)]
    return [{"name": "sentiment", "rules": [*recorded, *watched]}]


def rule_file() -> str:
    """
    What `rule_files` of prometheus.yml names.
    """
    return _dump({"groups": groups()})


def prometheus_rule() -> str:
    """
    The resource that Prometheus' operator looks for.
    """
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sentiment"},
        "spec": {"groups": groups()},
    }
    return _dump(resource)


def _record(record: Record) -> Yaml:
    labels = {"labels": record.labels} if record.labels else {}
    return {"record": record.name, "expr": record.expr, **labels}


def _alert(alert: Alert) -> Yaml:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{alerts.RUNBOOK}#{alert.name.lower()}",
        },
    }


def _dump(content: Yaml) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
    return f"# Written by scripts/dashboards out of monitoring/; change it there.\n{text}"
