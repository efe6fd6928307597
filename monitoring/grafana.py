"""
A board as the JSON that Grafana imports.
"""

import string
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.board import Board, Panel, Query

_SOURCE = DataSourceRef("prometheus", "${datasource}")
_KINDS: dict[str, Any] = {"curves": timeseries.Panel, "number": stat.Panel, "distribution": heatmap.Panel}


def json_of(board: Board) -> str:
    """
    The dashboard, for any data source of Prometheus, and for a namespace or all.
    """
    builder = (
        grafana.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(["sentiment"])
        .editable()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(grafana.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_namespaces())
    )
    numbers = count(1)
    for row in board.rows:
        builder.with_row(grafana.Row(row.title).id(next(numbers)))
        for panel, width in row.laid_out():
            builder.with_panel(_built(panel).id(next(numbers)).span(width))
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _namespaces() -> grafana.QueryVariable:
    return (
        grafana.QueryVariable("namespace")
        .label("Namespace")
        .datasource(_SOURCE)
        .query("label_values(sentiment_transformer_requests_total, namespace)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)  # noqa: FBT003  # the SDK's
        .all_value(".*")  # also where no series has a namespace, outside of a cluster
        .current(VariableOption(text="All", value="$__all", selected=True))
    )


def _built(panel: Panel) -> Any:
    builder = _KINDS[panel.kind]()
    builder.title(panel.title).description(panel.says).datasource(_SOURCE).unit(panel.unit).min(0)
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        builder.with_target(_target(panel, query).ref_id(letter))
    match panel.kind:
        case "number":
            builder.height(4).thresholds(_thresholds(panel))
        case "distribution":
            # the bands are the queries' buckets
            builder.height(8).calculate(False).y_axis(heatmap.YAxisConfig().unit(panel.unit))  # noqa: FBT003
        case "curves":
            _draw(builder.height(8), panel)
    return builder


def _target(panel: Panel, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend)
    if panel.kind == "number":
        return target.instant()
    if panel.kind == "distribution":
        return target.range().format(PromQueryFormat.HEATMAP)
    return target.range().exemplar(panel.exemplars)


def _thresholds(panel: Panel) -> grafana.ThresholdsConfig:
    steps = [Threshold(None, "green")]
    if panel.limit is not None:
        steps.append(Threshold(panel.limit, "red"))
    return grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _draw(builder: Any, panel: Panel) -> None:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    builder.legend(legend.show_legend(True))  # noqa: FBT003  # the SDK's
    builder.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    builder.fill_opacity(30 if panel.stacked else 5)
    if panel.stacked:
        builder.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if panel.limit is not None:
        builder.axis_soft_max(panel.limit)  # so that one sees how far away it is
        builder.thresholds(_thresholds(panel))
        builder.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED))
