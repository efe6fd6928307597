"""
What the transformer counts, beside KServe's own `request_*_seconds`.
"""

from prometheus_client import Counter, Gauge

_TEXTS = Counter(
    "sentiment_transformer_texts_total",
    "Distinct texts of requests, by where their answer came from: local, redis, flight (being computed), predictor.",
    ["source"],
)
LOCAL_TEXTS, REDIS_TEXTS, FLIGHT_TEXTS, PREDICTOR_TEXTS = (
    _TEXTS.labels(source) for source in ("local", "redis", "flight", "predictor")
)
BREAKER_OPEN = Gauge("sentiment_transformer_breaker_open", "Whether a peer is being left alone, 0 or 1.", ["peer"])
