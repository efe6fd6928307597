"""
What the boards' queries are put together of.
"""

TRANSFORMER = "sentiment_transformer"
PREDICTOR = "sentiment_predictor"
PREDICTIONS = 'route=~".*(predict|infer|ModelInfer)"'
ERRORS = 'status=~"5.."'
REFUSED = 'status="429"'
CACHED = 'source=~"local|redis"'
COMPUTED = 'source="predictor"'
TRANSFORMERS, PREDICTORS, OURS = (
    f'job=~"(.*/)?sentiment-{service}"' for service in ("transformer", "predictor", "(predictor|transformer)")
)
"""
Metrics that every process has are ours by the scrape's job: the PodMonitor's name, behind its namespace in a cluster.
"""
REPLICA = "pod, instance"
BY_REPLICA = "{{pod}} {{instance}}"
"""
What tells replicas apart, and their legend: the pod is whom kubectl knows, the instance is there without a cluster too.
"""
BATCH_TOKENS = 50
"""
What a batch costs whatever is in it, in tokens. One text of 25 tokens takes as long as 60 to 120 tokens of full batches
(the README's Speed: either model, either numeric mode), so a batch costs as much as 35 to 95 tokens beside its own.
"""
_NAMESPACE = 'namespace=~"$namespace"'


def series(metric: str, *matchers: str) -> str:
    """
    The series of a metric in the namespace that the board shows.
    """
    return f"{metric}{{{', '.join((*matchers, _NAMESPACE))}}}"


def rate(metric: str, *matchers: str, by: str = "") -> str:
    """
    How much a counter grows a second, all replicas together.

    Args:
        by: labels to keep.
    """
    return f"sum{f' by ({by})' if by else ''} (rate({series(metric, *matchers)}[$__rate_interval]))"


def mean(histogram: str, *matchers: str, by: str = "") -> str:
    """
    The mean of what a histogram observed.
    """
    return f"{rate(f'{histogram}_sum', *matchers, by=by)} / {rate(f'{histogram}_count', *matchers, by=by)}"


def quantile(share: float, histogram: str, *matchers: str, by: str = "") -> str:
    """
    The value below which a share of what a histogram observed lies.
    """
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', *matchers, by=labels)})"


def or_zero(expr: str) -> str:
    """
    The value, or 0 where there is no series yet.
    """
    return f"({expr} or vector(0))"
