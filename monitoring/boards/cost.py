"""
The board of cost and capacity: what does it cost, and how much more fits.
"""

from monitoring.board import Board, Panel, Query, Row
from monitoring.promql import (
    BY_REPLICA,
    COMPUTED,
    OURS,
    PREDICTOR,
    PREDICTORS,
    TRANSFORMER,
    TRANSFORMERS,
    or_zero,
    rate,
    series,
)

_ANSWERED = rate(f"{TRANSFORMER}_score_count")
_COMPUTED = rate(f"{PREDICTOR}_batch_texts_sum")
_CORES = rate("process_cpu_seconds_total", OURS)
_PREDICTOR_CORES = rate("process_cpu_seconds_total", PREDICTORS)
_REPLICAS = "sentiment:replicas:count"

_ALL_TEXTS = rate(f"{TRANSFORMER}_texts_total")
_COMPUTED_TEXTS = or_zero(rate(f"{TRANSFORMER}_texts_total", COMPUTED))

_GLANCE = Row(
    "At a glance",
    (
        Panel(
            "Texts answered a core-second",
            "short",
            (Query(f"{_ANSWERED} / {_CORES}"),),
            "Of both services together: what a core buys, cache included.",
            kind="number",
        ),
        Panel("Cores used", "short", (Query(_CORES),), kind="number"),
        Panel(
            "Memory",
            "bytes",
            (Query(f"sum({series('process_resident_memory_bytes', OURS)})"),),
            kind="number",
        ),
        Panel(
            "Computing saved by the cache",
            "percentunit",
            (Query(f"1 - {_COMPUTED_TEXTS} / {_ALL_TEXTS}"),),
            "Share of texts that nobody computed.",
            kind="number",
        ),
    ),
)
_EFFICIENCY = Row(
    "Efficiency",
    (
        Panel("Texts", "cps", (Query(_ANSWERED, "answered"), Query(_COMPUTED, "computed")), "A second."),
        Panel(
            "Texts a core-second",
            "short",
            (
                Query(f"{_ANSWERED} / {_CORES}", "answered, by both services' cores"),
                Query(f"{_COMPUTED} / {_PREDICTOR_CORES}", "computed, by the predictor's cores"),
            ),
            "What one core does in a second. A fall at the same traffic: slower cores, longer texts, fewer hits.",
        ),
        Panel(
            "Cores used", "short", (Query(rate("process_cpu_seconds_total", OURS, by="job"), "{{job}}"),), stacked=True
        ),
    ),
)
_CAPACITY = Row(
    "Capacity",
    (
        Panel(
            "Replicas",
            "short",
            (Query(series(_REPLICAS), "{{job}}"),),
            "Processes that Prometheus reaches.",
        ),
        Panel(
            "Scale events in an hour",
            "short",
            (Query(f"changes({series(_REPLICAS)}[1h])", "{{job}}"),),
            "Many of them: the autoscaler's target or its windows do not fit the traffic.",
        ),
        Panel(
            "Restarts in an hour",
            "short",
            (Query(f"sum by (job) (changes({series('process_start_time_seconds', OURS)}[1h]))", "{{job}}"),),
            "Of containers in their pods, seen as new starts at the same address.",
            limit=1,
        ),
        Panel(
            "Load, of what there is room for",
            "percentunit",
            (
                Query(
                    f"{rate(f'{PREDICTOR}_compute_seconds_total')} / sum({series(f'{PREDICTOR}_compute_threads')})",
                    "predictor: compute threads",
                ),
                Query(
                    f"max(rate({series('process_cpu_seconds_total', TRANSFORMERS)}[$__rate_interval]))",
                    "transformer: its one core, the busiest replica",
                ),
            ),
            "At 100 % of either, latency rises with every further request.",
            limit=0.8,
        ),
        Panel("Memory a process", "bytes", (Query(series("process_resident_memory_bytes", OURS), BY_REPLICA),)),
        Panel(
            "Open files",
            "percentunit",
            (
                Query(
                    f"{series('process_open_fds', OURS)} / {series('process_max_fds', OURS)}",
                    BY_REPLICA,
                ),
            ),
            "Mostly connections of clients.",
            limit=0.8,
        ),
    ),
)

BOARD = Board(
    "Sentiment: cost and capacity",
    "sentiment-cost",
    "What does it cost, and how much more fits?",
    (_GLANCE, _EFFICIENCY, _CAPACITY),
)
