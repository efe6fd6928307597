"""
What a request costs on average, on paper.
"""

from dataclasses import dataclass

from sizing.figures import MAX_BATCH_TOKENS, Figures
from sizing.hits import Sources
from sizing.traffic import Traffic


@dataclass(frozen=True)
class Demand:
    """
    Core-seconds of each thread, and bytes of each way, for one request.

    Attributes:
        sources: where each of its texts has its answer from.
        predictor: its event loop's.
        compute: in full batches, as they are under the most load.
        missing: the chance that the predictor is asked.
        texts: that it is asked for.
    """

    sources: Sources
    client: float
    transformer: float
    redis: float
    predictor: float
    compute: float
    missing: float
    texts: float
    transformer_bytes: float
    redis_bytes: float

    def of_predictor(self, threads: int) -> float:
        """
        Of a predictor with so many compute threads, all of which stand still while its event loop works.
        """
        return self.predictor * threads + self.compute

    def of_machine(self, cores: int) -> float:
        """
        Of all of it, on one machine with the client.
        """
        return self.client + self.transformer + self.redis + self.of_predictor(cores)


def demand(figures: Figures, traffic: Traffic, sources: Sources) -> Demand:
    """
    The utilisation law: what a request costs on average, text by text.
    """
    count = traffic.texts_per_request
    # texts are drawn independently, and so are their sources
    looking, missing = 1 - sources.local**count, 1 - (1 - sources.predictor) ** count
    looked_up, computed = count * (1 - sources.local), count * sources.predictor
    tokens = computed * traffic.mean_tokens
    batches = tokens / MAX_BATCH_TOKENS
    lookup_bytes = figures.lookup_bytes.of(looked_up, looking)
    miss_bytes = figures.miss_bytes.of(computed, missing)
    return Demand(
        sources=sources,
        client=figures.client_ms.of(count) / 1e3,
        transformer=(
            figures.hit_ms.of(count) + figures.lookup_ms.of(looked_up, looking) + figures.miss_ms.of(computed, missing)
        )
        / 1e3,
        redis=(figures.redis_get_ms.of(looked_up, looking) + figures.redis_set_ms.of(computed, missing)) / 1e3,
        predictor=figures.predictor_ms.of(computed, missing) / 1e3,
        compute=figures.batch_ms.of(tokens, batches) / 1e3 + batches * (figures.lock_ms + figures.handover_ms) / 1e3,
        missing=missing,
        texts=computed,
        transformer_bytes=figures.client_bytes.of(count) + lookup_bytes + miss_bytes,
        redis_bytes=lookup_bytes,
    )
