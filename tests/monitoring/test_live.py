import re
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import pytest
import yaml

from monitoring.boards import BOARDS
from watching.prometheus import RULES, Prometheus, filled


def queries(*, of_a_setting: bool) -> dict[str, str]:
    """
    The panels' queries: those that have data with some setting only, or the others.
    """
    return {
        f"{board.uid} / {panel.title} / {query.legend}": query.expr
        for board in BOARDS
        for row in board.rows
        if bool(row.needs) == of_a_setting
        for panel in row.panels
        for query in panel.queries
    }


QUERIES, OF_A_SETTING = queries(of_a_setting=False), queries(of_a_setting=True)
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
RECORDS = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
SETTLING_SECONDS = 30
RATE_SECONDS = 300
OURS = re.compile(r"sentiment[\w:]+|process_\w+")


def without_data(prometheus: Prometheus, queries: dict[str, str]) -> list[str]:
    """
    The names of the queries that give nothing.
    """
    return [name for name, expr in queries.items() if not prometheus.now(filled(expr, RATE_SECONDS))]


def selectors(expr: str) -> set[str]:
    """
    The series that an expression reads.
    """
    named = re.findall(r"(?<![\w:\"])([a-z]\w*:[\w:]+|sentiment_\w+|process_\w+|up\b)({[^}]*})?", expr)
    return {name + matchers for name, matchers in named}


def settled(faults: Callable[[], list[Any]]) -> list[Any]:
    """
    What is still wrong after a while, in which scrapes and evaluations come.
    """
    deadline = monotonic() + SETTLING_SECONDS
    while (found := faults()) and monotonic() < deadline:
        sleep(0.2)
    return found


def test_every_panel_has_data(prometheus: Prometheus) -> None:
    """
    Every query of every panel gives data of the live services.
    """
    assert settled(lambda: without_data(prometheus, QUERIES)) == []


def test_other_panels_are_understood(prometheus: Prometheus) -> None:
    """
    Panels of a setting that is not in use are valid and empty.
    """  # that their metrics are right, tests/integration/test_replicas.py sees
    assert without_data(prometheus, OF_A_SETTING) == list(OF_A_SETTING)


def test_every_record_has_samples(prometheus: Prometheus) -> None:
    """
    Every recorded series has samples.
    """
    names = {str(rule["record"]): str(rule["record"]) for rule in RECORDS}
    assert settled(lambda: without_data(prometheus, names)) == []


def test_every_rule_evaluates(prometheus: Prometheus) -> None:
    """
    Every rule is evaluated without a fault.
    """
    assert settled(lambda: [rule for rule in _rules(prometheus) if rule["health"] != "ok"]) == []
    assert {rule["name"] for rule in _rules(prometheus)} == {
        rule.get("alert") or rule["record"] for rule in (*ALERTS, *RECORDS)
    }


def _rules(prometheus: Prometheus) -> list[Any]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def test_every_alert_reads_what_there_is(prometheus: Prometheus) -> None:
    """
    Every series that an alert or a record reads is there with the labels that it asks for, also of what never happened.
    """
    read = set().union(*(selectors(rule["expr"]) for rule in (*ALERTS, *RECORDS)))
    absent = {metric for expr in OF_A_SETTING.values() for metric in OURS.findall(expr)}
    assert settled(lambda: without_data(prometheus, {series: series for series in read - absent})) == []


@pytest.mark.parametrize("expr", sorted({*QUERIES.values(), *(rule["expr"] for rule in (*ALERTS, *RECORDS))}))
def test_mistake_is_found(prometheus: Prometheus, expr: str) -> None:
    """
    A mistake in any metric's name of any query or rule leaves it without data.
    """
    for name in sorted(set(OURS.findall(re.sub(r'"[^"]*"', "", expr)))):
        wrong = re.sub(rf"\b{name}\b", f"{name}x", expr)
        assert without_data(prometheus, {series: series for series in selectors(filled(wrong, RATE_SECONDS))})
