import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Reference
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from serving.histogram import Histogram

BOUNDS = (0.5, 1, 2.5)
AMOUNTS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from((*BOUNDS, 0.0, 0.7, 9.0, 1e300))))


@given(AMOUNTS)
def test_tells_what_the_library_tells(amounts: list[tuple[str, float]]) -> None:
    """
    A scrape of it is, byte for byte, that of prometheus_client's own histogram.
    """
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("seconds", "Time.", "phase", buckets=BOUNDS, registry=ours)
    reference = Reference("seconds", "Time.", ["phase"], buckets=BOUNDS, registry=theirs)
    for label, amount in amounts:
        histogram.labels(label).observe(amount)
        reference.labels(label).observe(amount)
    assert generate_latest(ours) == generate_latest(theirs)


def test_exemplar() -> None:
    """
    The latest exemplar of a bucket is told with it, and with no other.
    """
    registry = CollectorRegistry()
    series = Histogram("seconds", "Time.", "phase", buckets=BOUNDS, registry=registry).labels("parse")
    series.observe(0.7, {"trace_id": "old"})
    series.observe(0.6, {"trace_id": "new"})
    series.observe(2)
    [told] = [line for line in generate_openmetrics(registry).decode().splitlines() if "#" in line.partition("}")[2]]
    assert told.startswith('seconds_bucket{le="1.0",phase="parse"} 2.0 # {trace_id="new"} 0.6')


def test_name_is_taken_once() -> None:
    """
    Two histograms of one name are a mistake that the registry tells.
    """
    registry = CollectorRegistry()
    Histogram("seconds", "Time.", "phase", buckets=BOUNDS, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Histogram("seconds", "Time.", "phase", buckets=BOUNDS, registry=registry)
