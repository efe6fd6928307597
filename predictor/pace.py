"""
How fast tokens are computed.
"""

_WEIGHT_OF_NEWEST = 0.2


class Pace:
    """
    Seconds a token, averaged over batches, the newest counting most; zero until one was seen.

    Args:
        threads: batches computed at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._seconds_a_token = 0.0

    def note(self, tokens: int, seconds: float, *, full: bool) -> None:
        """
        Take in a batch of so many tokens that took one thread so long.

        Args:
            full: else it computes at a lesser pace than a queue would, and says only that this one is no less.
        """
        newest = seconds / tokens / self._threads
        if not full and 0 < self._seconds_a_token <= newest:
            return
        weight = _WEIGHT_OF_NEWEST if self._seconds_a_token else 1.0
        self._seconds_a_token += weight * (newest - self._seconds_a_token)

    def seconds(self, tokens: int) -> float:
        """
        How long so many tokens take all threads.
        """
        return tokens * self._seconds_a_token
