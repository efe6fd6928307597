import pytest

from watching.units import told


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0.00021, "s", "210 µs"),
        (0.0125, "s", "12.5 ms"),
        (2.5, "s", "2.5 s"),
        (90, "s", "1.5 min"),
        (0, "percentunit", "0 %"),
        (0.001, "percentunit", "0.1 %"),
        (1, "percentunit", "100 %"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (512 * 1024**2, "bytes", "512 MiB"),
        (0.5, "short", "0.5"),
        (999.6, "short", "1000"),
        (12345, "short", "12.3k"),
        (812, "reqps", "812 req/s"),
        (1640, "reqps", "1.64k req/s"),
        (40, "cps", "40 /s"),
    ],
)
def test_told(value: float, unit: str, text: str) -> None:
    """
    A number has three digits and the unit in which they are easily read.
    """
    assert told(value, unit) == text


def test_every_unit() -> None:
    """
    Every unit of every panel can be told.
    """
    from monitoring.boards import BOARDS  # noqa: PLC0415

    assert all(told(1, panel.unit) for board in BOARDS for panel in board.panels)
