"""
How often each text is asked for: Zipf's law.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_EXACT_RANKS = 1000
_GROUPS = 400


class Popularity:
    """
    Texts by popularity, in groups: the most popular alone, the others with those of nearly their rank.

    Args:
        exponent: the text of rank r is asked for in proportion to 1 / r to this power.
        vocabulary: how many texts there are.

    Attributes:
        texts: how many each group has, (G,).
        shares: of all that is asked for, what falls to one text of each group, (G,).
    """

    def __init__(self, exponent: float, vocabulary: int) -> None:
        exact = min(vocabulary, _EXACT_RANKS)
        edges = np.unique(np.rint(np.geomspace(exact + 1, vocabulary + 1, _GROUPS)))
        self.texts: Array = np.concatenate([np.ones(exact), np.diff(edges)])
        # of a group the integral between its half ranks, which for ranks so high is the sum
        weights = np.concatenate([np.arange(1, exact + 1) ** -exponent, np.diff(_integral(edges - 0.5, exponent))])
        self.shares: Array = weights / weights.sum() / self.texts


def draw_ranks(exponent: float, vocabulary: int, chance: np.random.Generator, count: int) -> NDArray[np.int64]:
    """
    Draw texts by their rank, from 0 on, (N,).
    """
    cumulated = np.cumsum(np.arange(1, vocabulary + 1) ** -exponent)
    ranks: NDArray[np.int64] = np.searchsorted(cumulated, chance.random(count) * cumulated[-1])
    return ranks


def _integral(ranks: Array, exponent: float) -> Array:
    if exponent == 1:
        return np.log(ranks)
    integral: Array = ranks ** (1 - exponent) / (1 - exponent)
    return integral
