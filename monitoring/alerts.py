"""
The alerts beside those on the objectives: causes, each with what it means. The runbook has a line for each.
"""

from monitoring.promql import (
    BATCH_TOKENS,
    CACHED,
    COMPUTED,
    ERRORS,
    OURS,
    PREDICTIONS,
    PREDICTOR,
    REFUSED,
    TRANSFORMER,
    TRANSFORMERS,
)
from monitoring.rule import Alert, Record

RUNBOOK = "https://sentiment.example/RUNBOOK.md"
"""
Where the alerts' links lead, each to its section: the README says how to name a host that is yours.
"""
_TEXTS = f"{TRANSFORMER}_texts_total"
_BREAKER = f"{TRANSFORMER}_breaker_open"
_ASKED = f"{PREDICTOR}_requests_total"
_BUSY = f"{PREDICTOR}_compute_seconds_total"
_SCORES = f"{TRANSFORMER}_score_count"
_KNOWN_FOR_A_DAY = f"present_over_time(up{{{TRANSFORMERS}}}[1d])"


def _rate(metric: str, *matchers: str, window: str = "5m", by: str = "namespace") -> str:
    return f"sum by ({by}) (rate({metric}{{{', '.join(matchers)}}}[{window}]))".replace("{}", "")


def _hit_ratio(window: str) -> str:
    return f"{_rate(_TEXTS, CACHED, window=window)} / {_rate(_TEXTS, window=window)}"


def _label_share(window: str) -> str:
    of_label = _rate(_SCORES, window=window, by="namespace, label")
    return f"{of_label} / on (namespace) group_left () {_rate(_SCORES, window=window)}"


def _token_seconds(window: str) -> str:
    batches = f"{PREDICTOR}_batch_tokens"
    work = f"({_rate(f'{batches}_sum', window=window)} + {BATCH_TOKENS} * {_rate(f'{batches}_count', window=window)})"
    return f"{_rate(_BUSY, window=window)} / {work}"


RECORDS = (
    Record("sentiment:replicas:count", f"count by (namespace, job) (up{{{OURS}}} == 1)"),
    Record("sentiment:hit:ratio_rate10m", _hit_ratio("10m")),
    Record("sentiment:hit:ratio_rate1d", _hit_ratio("1d")),
    Record("sentiment:token_compute_seconds:ratio_rate10m", _token_seconds("10m")),
    Record("sentiment:token_compute_seconds:ratio_rate1d", _token_seconds("1d")),
    Record("sentiment:label_share:ratio_rate1h", _label_share("1h")),
    Record("sentiment:label_share:ratio_rate1w", _label_share("1w")),
)
ALERTS = (
    Alert(
        "SentimentDown",
        # pods that are gone leave no series that names their namespace; and nobody names one where none ever was
        f"group by (namespace) ({_KNOWN_FOR_A_DAY}) unless group by (namespace) (up{{{TRANSFORMERS}}} == 1)"
        f" or absent({_KNOWN_FOR_A_DAY})",
        "2m",
        "critical",
        "No transformer is there",
        "Prometheus reaches none{{ with $labels.namespace }} in {{ . }}{{ end }}, so nobody is answered, or nobody can"
        " see it.",
    ),
    Alert(
        "SentimentReplicaDown",
        f"avg_over_time(up{{{OURS}}}[10m]) < 0.5",
        "10m",
        "warning",
        "A replica is not there",
        "{{ $labels.job }} at {{ $labels.instance }} answered Prometheus {{ $value | humanizePercentage }} of the last"
        " ten minutes' times: it does not start, ends again and again, or hangs.",
    ),
    Alert(
        "SentimentRayReplicaDown",
        f"avg_over_time({PREDICTOR}_replica_ready[10m]) < 0.5",
        "10m",
        "warning",
        "A replica on Ray is not there",
        "Replica {{ $labels.replica }} of the predictor at {{ $labels.instance }} was there"
        " {{ $value | humanizePercentage }} of the last ten minutes: it does not load, ends again and again, or the"
        " cluster has no core for it.",
    ),
    Alert(
        "SentimentNoPredictor",
        f"{_rate(_TEXTS, COMPUTED)} > 0 unless on (namespace) {PREDICTOR}_model_info",
        "2m",
        "critical",
        "No predictor is there, and texts wait for one",
        "{{ $value | humanize }} texts a second are in no cache and get 503. A predictor that scaled to zero while"
        " nobody asks is no alert.",
    ),
    Alert(
        "SentimentPredictorErrors",
        f"{_rate(_ASKED, PREDICTIONS, ERRORS)} / {_rate(_ASKED, PREDICTIONS)} > 0.01",
        "5m",
        "warning",
        "The predictor fails on requests",
        "{{ $value | humanizePercentage }} of its answers are 5xx. Its log has each under its request id.",
    ),
    Alert(
        "SentimentQueueSaturated",
        f"{_rate(_ASKED, PREDICTIONS, REFUSED)} / {_rate(_ASKED, PREDICTIONS)} > 0.05"
        f" or max by (namespace) ({PREDICTOR}_queue_tokens / {PREDICTOR}_max_queue_tokens) > 0.8",
        "5m",
        "warning",
        "The predictor's queue is full",
        "More new texts come than are computed: {{ $value | humanizePercentage }} of its requests are refused with 429,"
        " or of its queue are taken. Texts that a cache knows are still answered.",
    ),
    Alert(
        "SentimentRedisDown",
        f'avg by (namespace) (avg_over_time({_BREAKER}{{peer="redis"}}[2m])) > 0.5'
        f" and {_rate(f'{TRANSFORMER}_redis_calls_total')} > 0",
        "2m",
        "warning",
        "Redis does not answer",
        "{{ $value | humanizePercentage }} of the transformers' time it was left alone. Answers stay right; replicas"
        " no longer share them, so more is computed.",
    ),
    Alert(
        "SentimentPredictorLeftAlone",
        f'avg_over_time({_BREAKER}{{peer="predictor"}}[2m]) > 0.5'
        f" and on (namespace, instance) {_rate(_TEXTS, COMPUTED, by='namespace, instance')} > 0",
        "2m",
        "warning",
        "A transformer cannot reach the predictor",
        "{{ $labels.instance }} leaves it alone, since it did not answer: new texts get 503 there, known ones do not.",
    ),
    Alert(
        "SentimentHitRatioCollapsed",
        "sentiment:hit:ratio_rate10m < 0.5 * sentiment:hit:ratio_rate1d and sentiment:hit:ratio_rate1d > 0.2"
        f" and {_rate(_TEXTS, window='10m')} > 1",
        "10m",
        "warning",
        "The caches know far fewer texts than yesterday",
        "{{ $value | humanizePercentage }} of the texts are hits, less than half of the last day's share. After a new"
        " model, or the loss of Redis, it comes back by itself.",
    ),
    Alert(
        "SentimentInferenceSlow",
        "sentiment:token_compute_seconds:ratio_rate10m > 2 * sentiment:token_compute_seconds:ratio_rate1d"
        f" and {_rate(_BUSY, window='10m')} > 0.5 * sum by (namespace) ({PREDICTOR}_compute_threads)",
        "10m",
        "warning",
        "The model computes at half its pace",
        "A token takes a thread {{ $value | humanizeDuration }}, twice as long as on the last day, small batches"
        " allowed for, and the threads are busy: throttled or shared cores, or another model.",
    ),
    Alert(
        "SentimentLabelDrift",
        "max by (namespace) (abs(sentiment:label_share:ratio_rate1h - sentiment:label_share:ratio_rate1w)) > 0.2"
        f" and {_rate(_SCORES, window='1h')} * 3600 > 1000",
        "30m",
        "warning",
        "The predicted labels are not distributed as they were",
        "A label's share of the last hour is {{ $value | humanizePercentage }} away from its share of the last week:"
        " other texts come, or another model answers.",
    ),
    Alert(
        "SentimentRestarts",
        f"sum by (namespace, job) (changes(process_start_time_seconds{{{OURS}}}[30m])) > 2",
        "0m",
        "warning",
        "Containers start again and again",
        "{{ $labels.job }} started {{ $value }} times in half an hour: killed for memory, or not live for a minute.",
    ),
)
