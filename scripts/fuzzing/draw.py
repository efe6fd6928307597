"""
Cases out of a seed, by hypothesis; runs in a process of its own.
"""

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzzing import rest, rpc
from fuzzing.case import Case


def draw(count: int, batch_seed: str) -> list[Case]:
    """
    Up to so many different cases, always the same of the same seed.
    """
    drawn: dict[Case, None] = {}  # hypothesis repeats itself

    @seed(batch_seed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(rest.cases(), rpc.calls()))
    def take(case: Case) -> None:
        drawn[case] = None

    take()
    return list(drawn)
