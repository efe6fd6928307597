"""
What the transformer counts, beside what every service of ours does (`serving.metrics`).
"""

from functools import cache
from itertools import product

from prometheus_client import REGISTRY, Counter, Gauge, Info

from serving.histogram import Histogram

_TEXTS = Counter(
    "sentiment_transformer_texts_total",
    "Distinct texts of requests, by where their answer came from: local, redis, flight (being computed), predictor.",
    ["source"],
)
LOCAL_TEXTS, REDIS_TEXTS, FLIGHT_TEXTS, PREDICTOR_TEXTS = (
    _TEXTS.labels(source) for source in ("local", "redis", "flight", "predictor")
)
LOCAL_CACHE_BYTES = Gauge("sentiment_transformer_local_cache_bytes", "Memory that the in-process cache takes.")
MAX_LOCAL_CACHE_BYTES = Gauge(
    "sentiment_transformer_max_local_cache_bytes", "Memory that the in-process cache may take, at most."
)
_REDIS_CALLS = Counter(
    "sentiment_transformer_redis_calls_total",
    "Calls of Redis by what for (get, set, rate_limit) and result: ok, error, or skipped while it is left alone.",
    ["operation", "result"],
)
redis_calls = cache(_REDIS_CALLS.labels)
for _operation, _result in product(("get", "set"), ("ok", "error", "skipped")):
    redis_calls(_operation, _result)  # at 0: of a series that begins with its first error Prometheus sees no growth
BREAKER_OPEN = Gauge("sentiment_transformer_breaker_open", "Whether a peer is being left alone, 0 or 1.", ["peer"])
# Of the texts answered and not of those computed: what clients send drifts, and of a text that is asked for a thousand
# times a day the model sees one.
scores = Histogram(
    "sentiment_transformer_score",
    "Score of the best label of each text that was answered, by that label.",
    "label",
    buckets=(0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1),
    registry=REGISTRY,
).labels
MODEL_INFO = Info("sentiment_transformer_model", "The model whose answers are looked up: revision.")
