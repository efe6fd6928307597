"""
The board of the service: is it healthy, and where does its time go.

The transformer's view: all that clients ask goes through it.
"""

from monitoring.board import Board, Panel, Query, Row
from monitoring.promql import (
    BY_REPLICA,
    CACHED,
    PREDICTIONS,
    PREDICTOR,
    TRANSFORMER,
    mean,
    or_zero,
    quantile,
    rate,
    series,
)

_REQUESTS = f"{TRANSFORMER}_requests_total"
_SECONDS = f"{TRANSFORMER}_request_seconds"
_PHASES = f"{TRANSFORMER}_phase_seconds"
_TEXTS = f"{TRANSFORMER}_texts_total"
_KNOWN = 'revision!=""'
_FIRING = 'alertname=~"Sentiment.+", alertstate="firing"'
_ALL = rate(_REQUESTS, PREDICTIONS)
_HIT_RATIO = f"{rate(_TEXTS, CACHED)} / {rate(_TEXTS)}"


def _share_of_status(pattern: str) -> str:
    of_status = rate(_REQUESTS, PREDICTIONS, f'status=~"{pattern}"')
    return f"{or_zero(of_status)} / {_ALL}"


_GLANCE = Row(
    "At a glance",
    (
        Panel("Requests", "reqps", (Query(_ALL),), "Predictions asked for, all protocols.", kind="number"),
        Panel(
            "Errors",
            "percentunit",
            (Query(_share_of_status("5..")),),
            "Share answered with 5xx. The objective is 0.1 % over 30 days.",
            kind="number",
            limit=0.001,
        ),
        Panel(
            "99 % are answered within",
            "s",
            (Query(quantile(0.99, _SECONDS)),),
            "From the arrival of the whole request. The objective is 0.25 s.",
            kind="number",
            limit=0.25,
        ),
        Panel("Hit ratio", "percentunit", (Query(_HIT_RATIO),), "Share of texts that a cache knew.", kind="number"),
        Panel(
            "Predictor busy",
            "percentunit",
            (Query(f"{rate(f'{PREDICTOR}_compute_seconds_total')} / sum({series(f'{PREDICTOR}_compute_threads')})"),),
            "Share of its compute threads. Near 100 % new texts wait, then are refused.",
            kind="number",
            limit=0.9,
        ),
        Panel(
            "Alerts",
            "short",
            (Query(or_zero(f"sum({series('ALERTS', _FIRING)})")),),
            "How many fire. The runbook has a section for each.",
            kind="number",
            limit=1,
        ),
    ),
)
_TRAFFIC = Row(
    "Traffic and errors",
    (
        Panel(
            "Requests by status",
            "reqps",
            (Query(rate(_REQUESTS, PREDICTIONS, by="status"), "{{status}}"),),
            "Over gRPC the status that REST would give; 499: the client left.",
            stacked=True,
        ),
        Panel(
            "Requests by route",
            "reqps",
            (Query(rate(_REQUESTS, PREDICTIONS, by="route, protocol"), "{{route}} ({{protocol}})"),),
            stacked=True,
        ),
        Panel(
            "Share of errors and refusals",
            "percentunit",
            (
                Query(_share_of_status("5.."), "5xx: ours"),
                Query(_share_of_status("429"), "429: too much at once"),
                Query(_share_of_status("4(0.|1.|2[0-8]|31)"), "other 4xx: the client's"),
                Query(_share_of_status("499"), "499: the client left"),
            ),
        ),
    ),
)
_LATENCY = Row(
    "Latency",
    (
        Panel(
            "Percentiles",
            "s",
            tuple(Query(quantile(share, _SECONDS), f"{share:.0%}") for share in (0.5, 0.95, 0.99)),
            "Predictions that succeeded. The dots are single requests, by their trace.",
            limit=0.25,
            exemplars=True,
        ),
        Panel(
            "Where the time goes",
            "s",
            (Query(mean(_PHASES, by="phase"), "{{phase}}"),),
            "Mean seconds by phase. receive: admission and the body's arrival, which is the client's time; "
            "cache: both levels; model: the way to the predictor, its queue and its computing.",
            stacked=True,
        ),
        Panel("99 % by phase", "s", (Query(quantile(0.99, _PHASES, by="phase"), "{{phase}}"),)),
        Panel(
            "Distribution",
            "s",
            (Query(rate(f"{_SECONDS}_bucket", by="le"), "{{le}}"),),
            "Hits are the lower band, misses the upper one.",
            kind="distribution",
        ),
    ),
)
_CACHE = Row(
    "Cache",
    (
        Panel(
            "Texts by source",
            "cps",
            (Query(rate(_TEXTS, by="source"), "{{source}}"),),
            "Where answers came from: this process, Redis, a request that was computing the same text, the predictor.",
            stacked=True,
        ),
        Panel("Hit ratio", "percentunit", (Query(_HIT_RATIO, "hit ratio"),)),
        Panel(
            "Calls of Redis",
            "ops",
            (Query(rate(f"{TRANSFORMER}_redis_calls_total", by="operation, result"), "{{operation}} {{result}}"),),
            "skipped: Redis is left alone for a second, since it did not answer.",
        ),
        Panel(
            "Open breakers",
            "short",
            (Query(f"sum by (peer) ({series(f'{TRANSFORMER}_breaker_open')})", "{{peer}}"),),
            "How many transformers leave a peer alone because it did not answer.",
            limit=1,
        ),
        Panel(
            "In-process cache, how full",
            "percentunit",
            (
                Query(
                    f"{series(f'{TRANSFORMER}_local_cache_bytes')} / {series(f'{TRANSFORMER}_max_local_cache_bytes')}",
                    BY_REPLICA,
                ),
            ),
            "Full is fine: the oldest entries make room.",
        ),
    ),
)
_SATURATION = Row(
    "Saturation and revisions",
    (
        Panel(
            "Requests in flight, of the most allowed",
            "percentunit",
            tuple(
                Query(
                    f"{series(f'{name}_requests_in_flight')} / {series(f'{name}_max_requests_in_flight')}",
                    f"{name.removeprefix('sentiment_')} {BY_REPLICA}",
                )
                for name in (TRANSFORMER, PREDICTOR)
            ),
            "At 100 % further requests are refused with 429.",
            limit=0.8,
        ),
        Panel(
            "Requests to the predictor by revision",
            "reqps",
            (
                Query(
                    f"sum by (revision) (rate({series(f'{PREDICTOR}_requests_total', PREDICTIONS)}[$__rate_interval])"
                    f" * on (namespace, instance) group_left (revision) {series(f'{PREDICTOR}_model_info')})",
                    "{{revision}}",
                ),
            ),
            "Two revisions at once: a rollout, or a canary.",
            stacked=True,
        ),
        Panel(
            "Transformers by the revision they look up",
            "short",
            (Query(f"count by (revision) ({series(f'{TRANSFORMER}_model_info', _KNOWN)})", "{{revision}}"),),
            "A transformer that nobody has told one yet is not counted.",
            stacked=True,
        ),
    ),
)

BOARD = Board(
    "Sentiment: service",
    "sentiment-service",
    "Is the service healthy, and where does its time go?",
    (_GLANCE, _TRAFFIC, _LATENCY, _CACHE, _SATURATION),
)
