import pytest

from local.supervisor import Failure
from watching.prometheus import filled, find


def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where Prometheus is missing, one line says so and names the package.
    """
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Failure, match=r"no prometheus on the PATH; .* package"):
        find()


def test_filled() -> None:
    """
    What Grafana would fill in is filled in.
    """
    expr = 'rate(requests_total{namespace=~"$namespace"}[$__rate_interval])'
    assert filled(expr, 15) == 'rate(requests_total{namespace=~".*"}[15000ms])'
