"""
The files that are written of the data.
"""

from pathlib import Path

from monitoring import grafana, prometheus
from monitoring.boards import BOARDS

ROOT = Path(__file__).resolve().parents[1]


def files() -> dict[Path, str]:
    """
    What stands in each file.
    """
    return {
        ROOT / "monitoring" / "rules.yaml": prometheus.rule_file(),
        ROOT / "manifests" / "base" / "prometheus-rule.yaml": prometheus.prometheus_rule(),
        **{ROOT / "monitoring" / "dashboards" / f"{board.uid}.json": grafana.json_of(board) for board in BOARDS},
    }
