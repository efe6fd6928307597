from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter

from serving.deferred import Deferred


@given(st.lists(st.integers(0, 9), max_size=100))
def test_a_scrape_misses_nothing(amounts: list[int]) -> None:
    """
    Whoever looks sees all that was counted before, each once, however much of it there is.
    """
    registry = CollectorRegistry()
    deferred = Deferred(registry)
    counter = Counter("c", "Counted.", registry=registry)
    for amount in amounts:
        deferred.add(counter.inc, amount)
    for _ in range(2):
        assert registry.get_sample_value("c_total") == sum(amounts)
