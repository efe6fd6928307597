"""
Whether the service is well, in a line and in a list of what is wrong.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring.board import Board
from watching.prometheus import Prometheus
from watching.view import Span, View, look


@dataclass(frozen=True)
class Active:
    """
    An alert that holds: `firing`, or `pending` until it has held for long enough.
    """

    state: str
    labels: dict[str, str]
    annotations: dict[str, str]
    since: datetime

    @property
    def name(self) -> str:
        """
        The alert's name.
        """
        return self.labels["alertname"]

    @property
    def about(self) -> str:
        """
        Whom it is about, as far as labels tell.
        """
        kept = {name: value for name, value in self.labels.items() if name not in ("alertname", "severity")}
        return ", ".join(f"{name} {value}" for name, value in sorted(kept.items()))


def active(prometheus: Prometheus) -> list[Active]:
    """
    The alerts that hold now, firing ones first.
    """
    alerts = [
        Active(each["state"], each["labels"], each["annotations"], _moment(each["activeAt"]))
        for each in prometheus.get("alerts")["alerts"]
    ]
    return sorted(alerts, key=lambda alert: (alert.state, alert.labels["severity"], alert.name))


def faulty_rules(prometheus: Prometheus) -> list[str]:
    """
    The names of rules that cannot be evaluated.
    """
    rules: list[Any] = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    return [rule["name"] for rule in rules if rule["health"] == "err"]


def glance(prometheus: Prometheus, board: Board, span: Span) -> list[View]:
    """
    What a board says first: its numbers.
    """
    return [look(prometheus, panel, span) for panel in board.panels if panel.kind == "number"]


def line(views: list[View]) -> str:
    """
    The numbers in a line; those over their limit are marked.
    """
    return ", ".join(f"{view.panel.title.lower()} {view.told}{' !' * view.over_limit}" for view in views)


def _moment(text: str) -> datetime:
    """
    Prometheus' time, whose nanoseconds Python does not read.
    """
    return datetime.fromisoformat(f"{text[:19]}+00:00").astimezone()
