"""
What requests cost on one machine, as `scripts/capacity measure` found it.
"""

from pathlib import Path

from sizing.document import Document, NotNegative, Part, Positive

SHIPPED = Path(__file__).with_suffix(".json")
MIB = 2**20
MAX_BATCH_TOKENS = 512
"""
The predictor's default.
"""


class Line(Part):
    """
    A cost: so much once, and so much for each.
    """

    once: NotNegative
    each: NotNegative

    def of(self, each: float, once: float = 1) -> float:
        """
        The cost of so many.
        """
        return self.once * once + self.each * each


class Figures(Document):
    """
    Milliseconds of one core, bytes and MiB.

    Attributes:
        batch_ms: a compute thread's, a batch and a token in it, tokenising included.
        handover_ms: from the end of a batch until its thread has the next.
        lock_ms: what a batch beside others waits for them, most of it for the lock of the interpreter that they share.
        predictor_ms: the predictor's event loop's, a request and a text in it.
        hit_ms: the transformer's, a request and a text that its own cache knows.
        lookup_ms: what it takes longer to ask Redis, a request and a text.
        miss_ms: what it takes longer to ask the predictor and to store the answer, a request and a text.
        redis_get_ms, redis_set_ms: Redis', a request and a text.
        client_ms: the client's of `check`, which shares the machine.
        client_bytes, lookup_bytes, miss_bytes: over the network for the same, both ways together.
        redis_entry_bytes, local_entry_bytes: of a text in Redis and in a transformer's own cache.
        transformer_mib, predictor_mib: of a process, the transformer's without its cache.
    """

    processor: str
    cores: int
    date: str
    model: str
    numeric_mode: str
    batch_ms: Line
    handover_ms: NotNegative
    lock_ms: NotNegative
    predictor_ms: Line
    hit_ms: Line
    lookup_ms: Line
    miss_ms: Line
    redis_get_ms: Line
    redis_set_ms: Line
    client_ms: Line
    client_bytes: Line
    lookup_bytes: Line
    miss_bytes: Line
    redis_entry_bytes: Positive
    local_entry_bytes: Positive
    transformer_mib: Positive
    predictor_mib: Positive

    def texts_per_second(self, tokens: int) -> float:
        """
        Texts of so many tokens that one core computes in full batches, while all do.
        """
        texts = max(1, MAX_BATCH_TOKENS // tokens)
        return 1e3 * texts / (self.batch_ms.of(texts * tokens) + self.lock_ms + self.handover_ms)
