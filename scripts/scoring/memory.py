"""
Which part of a corpus computes which text: the first that has it, so that a duplicate is computed once.

What a text's score is in its last digits depends on the texts of its batch. So that a run that was killed ends in the
same files as one that was not, ownership follows from the input alone: texts are claimed in the order of the parts,
also of those that were finished before, and forgotten in that order.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 16
# About 200 MB, with their scores.
_MOST_TEXTS = 1_000_000

Scores = NDArray[np.float32]


class Owner:
    """
    A part, as the one that computes its own texts.
    """

    def __init__(self) -> None:
        self._scores = np.empty((0, 0), dtype=np.float32)
        self._learnt = asyncio.Event()

    def learn(self, scores: Scores) -> None:
        """
        Take in the scores of its N own texts, (N, L).
        """
        self._scores = scores
        self._learnt.set()

    async def scores(self) -> Scores:
        """
        Those of its own texts, once they are known.
        """
        await self._learnt.wait()
        return self._scores


@dataclass(frozen=True)
class Claim:
    """
    What a part has to compute, and where it finds the rest.

    Attributes:
        owner: the part.
        own: N texts that no part before it has.
        keys: of those texts, to know them by in another run.
        places: of each of its texts: who owns it, and its position there.
    """

    owner: Owner
    own: list[str]
    keys: list[bytes]
    places: dict[str, tuple[Owner, int]]


class Memory:
    """
    The texts that were claimed last.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[Owner, int]] = {}

    def claim(self, texts: Sequence[str]) -> Claim:
        """
        Make those texts a part's own that no part before has; to be called in the order of the parts.

        Args:
            texts: distinct.
        """
        claim = Claim(Owner(), [], [], {})
        for text in texts:
            key = hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()
            if key not in self._places:
                self._places[key] = (claim.owner, len(claim.own))
                claim.own.append(text)
                claim.keys.append(key)
            claim.places[text] = self._places[key]
        self._forget()
        return claim

    def recall(self, keys: Sequence[bytes], scores: Scores) -> None:
        """
        Know what a part that was finished before has computed; in its turn, as `claim`.

        Args:
            scores: of N texts, (N, L).
        """
        owner = Owner()
        owner.learn(scores)
        for number, key in enumerate(keys):
            self._places.setdefault(key, (owner, number))
        self._forget()

    def _forget(self) -> None:
        while len(self._places) > _MOST_TEXTS:
            del self._places[next(iter(self._places))]
