"""
The predictor's board: does it batch, does it wait, does it compute.
"""

from monitoring.board import Board, Panel, Query, Row
from monitoring.promql import (
    BATCH_TOKENS,
    BY_REPLICA,
    PREDICTIONS,
    PREDICTOR,
    PREDICTORS,
    REFUSED,
    REPLICA,
    mean,
    or_zero,
    quantile,
    rate,
    series,
)

_PHASES = f"{PREDICTOR}_phase_seconds"
_REQUESTS = f"{PREDICTOR}_requests_total"
_TEXTS = f"{PREDICTOR}_batch_texts"
_TOKENS = f"{PREDICTOR}_batch_tokens"
_BUSY = f"{PREDICTOR}_compute_seconds_total"
_QUEUED = 'phase="queue"'
_UTILISATION = f"{rate(_BUSY, by=REPLICA)} / on ({REPLICA}) {series(f'{PREDICTOR}_compute_threads')}"
_BY_RAY_REPLICA, _RAY_REPLICA = f"{REPLICA}, replica", f"{{{{replica}}}} of {BY_REPLICA}"
_WORK = f"({rate(f'{_TOKENS}_sum')} + {BATCH_TOKENS} * {rate(f'{_TOKENS}_count')})"


def _percentiles(histogram: str, *matchers: str) -> tuple[Query, ...]:
    return tuple(Query(quantile(share, histogram, *matchers), f"{share:.0%}") for share in (0.5, 0.95, 0.99))


_GLANCE = Row(
    "At a glance",
    (
        Panel("Texts computed", "cps", (Query(rate(f"{_TEXTS}_sum")),), kind="number"),
        Panel(
            "Compute threads busy",
            "percentunit",
            (Query(f"avg({_UTILISATION})"),),
            "Near 100 %: more load waits. Add replicas or cores.",
            kind="number",
            limit=0.9,
        ),
        Panel(
            "Waiting, 99 %",
            "s",
            (Query(quantile(0.99, _PHASES, _QUEUED)),),
            "Until a request's first text is in a batch. Beyond MAX_WAIT_MS requests are refused.",
            kind="number",
            limit=0.1,
        ),
        Panel(
            "Refused",
            "percentunit",
            (Query(f"{or_zero(rate(_REQUESTS, PREDICTIONS, REFUSED))} / {rate(_REQUESTS, PREDICTIONS)}"),),
            "Share answered with 429, since too much waited.",
            kind="number",
            limit=0.01,
        ),
    ),
)
_BATCHING = Row(
    "Batching",
    (
        Panel(
            "Texts a batch",
            "short",
            (Query(mean(_TEXTS), "mean"),),
            "Batches grow while others compute: large ones are load, not trouble.",
        ),
        Panel("Tokens a batch", "short", (Query(mean(_TOKENS), "mean"),), "MAX_BATCH_TOKENS at most."),
        Panel(
            "Tokens a batch, distribution",
            "short",
            (Query(rate(f"{_TOKENS}_bucket", by="le"), "{{le}}"),),
            kind="distribution",
        ),
        Panel(
            "Texts and batches computed",
            "cps",
            (Query(rate(f"{_TEXTS}_sum"), "texts"), Query(rate(f"{_TEXTS}_count"), "batches")),
            "A second, all replicas together.",
        ),
        Panel("Tokens computed", "cps", (Query(rate(f"{_TOKENS}_sum"), "tokens"),), "A second, all replicas together."),
    ),
)
_QUEUE = Row(
    "Queue",
    (
        Panel(
            "Tokens that wait, of the most allowed",
            "percentunit",
            (Query(f"{series(f'{PREDICTOR}_queue_tokens')} / {series(f'{PREDICTOR}_max_queue_tokens')}", BY_REPLICA),),
            "At 100 % requests are refused; MAX_WAIT_MS may refuse them before.",
            limit=0.8,
        ),
        Panel("Time in the queue", "s", _percentiles(_PHASES, _QUEUED), limit=0.1),
        Panel(
            "Requests by status",
            "reqps",
            (Query(rate(_REQUESTS, PREDICTIONS, by="status"), "{{status}}"),),
            "429: too much waited.",
            stacked=True,
        ),
    ),
)
_COMPUTE = Row(
    "Compute",
    (
        Panel(
            "Compute threads busy",
            "percentunit",
            (Query(_UTILISATION, BY_REPLICA),),
            limit=0.9,
        ),
        Panel(
            "Cores used, and busy threads",
            "short",
            (
                Query(rate("process_cpu_seconds_total", PREDICTORS, by=REPLICA), f"cores {BY_REPLICA}"),
                Query(rate(_BUSY, by=REPLICA), f"threads {BY_REPLICA}"),
            ),
            "Busy threads far above cores: they wait for the processor. Look for throttling and for neighbours.",
        ),
        Panel(
            "Computing a token",
            "s",
            (Query(f"{rate(_BUSY)} / {_WORK}", "seconds of one thread"),),
            f"The pace of the processor. A batch counts as {BATCH_TOKENS} tokens more than it has: what it costs"
            " whatever is in it. It rises when cores are throttled or shared.",
        ),
        Panel("Time to compute a request", "s", _percentiles(_PHASES, 'phase="compute"')),
        Panel(
            "Where the time goes",
            "s",
            (Query(mean(_PHASES, by="phase"), "{{phase}}"),),
            "Mean seconds a request by phase.",
            stacked=True,
        ),
        Panel(
            "Memory",
            "bytes",
            (Query(series("process_resident_memory_bytes", PREDICTORS), BY_REPLICA),),
        ),
    ),
)
_REPLICAS = Row(
    "Replicas on Ray, where PREDICTOR_REPLICAS asks for them",
    (
        Panel(
            "Replicas there",
            "short",
            (Query(f"sum by ({REPLICA}) ({series(f'{PREDICTOR}_replica_ready')})", BY_REPLICA),),
            "Fewer than asked for: one is starting, or the cluster has no core for it.",
        ),
        Panel(
            "Busy, by replica",
            "percentunit",
            (Query(rate(f"{PREDICTOR}_replica_busy_seconds_total", by=_BY_RAY_REPLICA), _RAY_REPLICA),),
            "Share of the time in which it had a batch.",
            limit=0.9,
        ),
        Panel(
            "Batches, by replica",
            "cps",
            (Query(rate(f"{PREDICTOR}_replica_batches_total", by=_BY_RAY_REPLICA), _RAY_REPLICA),),
            "They take turns: one with fewer than the others computes slowly, or was away.",
        ),
        Panel(
            "Restarts in an hour, by replica",
            "short",
            (Query(f"increase({series(f'{PREDICTOR}_replica_restarts_total')}[1h])", _RAY_REPLICA),),
            "Each cost time, and no answer.",
            limit=1,
        ),
    ),
    needs="PREDICTOR_REPLICAS",
)

BOARD = Board(
    "Sentiment: predictor",
    "sentiment-predictor",
    "Does the model's side batch, wait, compute?",
    (_GLANCE, _BATCHING, _QUEUE, _COMPUTE, _REPLICAS),
)
