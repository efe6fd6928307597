"""
What the predictor counts, beside what every service of ours does (`serving.metrics`).
"""

from prometheus_client import Counter, Gauge, Histogram, Info

TRUNCATED_TEXTS = Counter("sentiment_predictor_truncated_texts_total", "Texts cut at the model's most tokens.")
QUEUE_TOKENS = Gauge("sentiment_predictor_queue_tokens", "Tokens that wait to be computed.")
MAX_QUEUE_TOKENS = Gauge("sentiment_predictor_max_queue_tokens", "Tokens that may wait to be computed, at most.")
BATCH_TEXTS = Histogram(
    "sentiment_predictor_batch_texts", "Texts of each batch that was computed.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
BATCH_TOKENS = Histogram(
    "sentiment_predictor_batch_tokens",
    "Tokens of each batch that was computed.",
    buckets=(8, 16, 32, 64, 128, 256, 384, 512, 1024),
)
COMPUTE_SECONDS = Counter("sentiment_predictor_compute_seconds_total", "Time that compute threads were busy, together.")
COMPUTE_THREADS = Gauge("sentiment_predictor_compute_threads", "Compute threads.")
REPLICA_BATCHES = Counter("sentiment_predictor_replica_batches_total", "Batches of each replica.", ["replica"])
REPLICA_BUSY_SECONDS = Counter(
    "sentiment_predictor_replica_busy_seconds_total", "Time that each replica had a batch.", ["replica"]
)
REPLICA_RESTARTS = Counter("sentiment_predictor_replica_restarts_total", "Starts after the first.", ["replica"])
REPLICA_READY = Gauge("sentiment_predictor_replica_ready", "Whether each replica is there, 0 or 1.", ["replica"])
MODEL_INFO = Info("sentiment_predictor_model", "The model that answers: revision and numeric mode.")
