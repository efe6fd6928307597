"""
What the predictor counts, beside KServe's own `request_*_seconds`.
"""

from prometheus_client import Counter

TRUNCATED_TEXTS = Counter("sentiment_predictor_truncated_texts_total", "Texts cut at the model's most tokens.")
