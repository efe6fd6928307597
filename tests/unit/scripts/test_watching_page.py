from datetime import UTC, datetime

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from watching.health import Active
from watching.page import Drawn, Picture, page, steps
from watching.view import Span, View

SPAN = Span.until(1_000_000, 60, 1)
QUIET = Drawn(
    BOARDS[0],
    tuple(
        (row.title, tuple(Picture(View(panel, SPAN, ()), width, b"png") for panel, width in row.laid_out()))
        for row in BOARDS[0].rows
    ),
)


def active(state: str) -> Active:
    """
    An alert whose words are not ours.
    """
    annotations = {"summary": "No <one>", "description": "Nobody & nothing"}
    labels = {"alertname": "SentimentDown", "severity": "critical", "namespace": "<script>"}
    return Active(state, labels, annotations, datetime(2026, 1, 1, tzinfo=UTC))


def test_all_is_well() -> None:
    """
    A page says that all is well where nothing is wrong, and an alert that only may come to fire changes nothing.
    """
    for alerts in ([], [active("pending")]):
        text = page([QUIET], alerts, [], "now", refresh=0)
        assert "All is well" in text
        assert "Something is wrong" not in text


def test_something_is_wrong() -> None:
    """
    An alert that fires, or a rule that cannot be evaluated, is what the page says first.
    """
    assert (
        "SentimentDown: No &lt;one&gt;" in page([QUIET], [active("firing")], [], "now", refresh=0).partition("<nav>")[0]
    )
    assert "SentimentX" in page([QUIET], [], ["SentimentX"], "now", refresh=0).partition("<nav>")[0]


def test_words_are_no_markup() -> None:
    """
    What labels and alerts say stays text.
    """
    assert "<script" not in page([QUIET], [active("firing")], [], "<script>", refresh=0)


def test_refresh() -> None:
    """
    A page looks again by itself only while it is drawn anew.
    """
    assert 'http-equiv="refresh" content="15"' in page([QUIET], [], [], "now", refresh=15)
    assert "http-equiv" not in page([QUIET], [], [], "now", refresh=0)


def test_steps() -> None:
    """
    Every alert comes with the runbook's advice.
    """
    assert all(steps(alert.name) for alert in ALERTS)
