"""
Texts of a given number of tokens, each unlike the others.
"""

import json
import random

from predictor.settings import EMBEDDED_MODEL

_SPECIAL_TOKENS = 2
_LETTERS = range(3, 8)


class Texts:
    """
    Texts by number.

    Args:
        seed: other seeds, other texts.
    """

    def __init__(self, seed: int) -> None:
        vocabulary = json.loads((EMBEDDED_MODEL / "tokenizer.json").read_bytes())["model"]["vocab"]
        words = (word for word in vocabulary if word.isascii() and word.isalpha() and word.islower())
        self._words = [word for word in words if len(word) in _LETTERS]
        self._seed = seed

    def text(self, number: int, tokens: int) -> str:
        """
        The text of a number: words of one token each, and the two special tokens.
        """
        chance = random.Random(f"{self._seed} {number}")  # noqa: S311  # no secret
        return " ".join(chance.choices(self._words, k=max(1, tokens - _SPECIAL_TOKENS)))
