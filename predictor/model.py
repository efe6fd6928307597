"""
The predictor as a KServe model: hooks that hand over to the parts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from predictor import wire
from predictor.artifact import Artifact, ArtifactError
from predictor.batcher import Batcher
from predictor.tokenizer import TextTokenizer
from serving import predictions, record
from serving.model import ServedModel

# The first time pays for what is lazy, from the second on the batcher learns its pace.
_WARM_UPS = 3
_WARM_UP_TEXTS = ["warm-up", *["a warm-up batch before the first request pays for what is lazy"] * 20]


class SentimentPredictor(ServedModel):
    """
    DistilBERT behind KServe's protocols.

    Args:
        name: the model's name in the routes.
        artifact: what is loaded.
        tokenizer: texts → token ids.
        batcher: token ids → probabilities.
        max_texts: most texts a request.
        available: whether there is anything to compute with now.
    """

    def __init__(  # noqa: PLR0913  # each is another part
        self,
        name: str,
        artifact: Artifact,
        tokenizer: TextTokenizer,
        batcher: Batcher,
        *,
        max_texts: int,
        available: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name)
        self._artifact = artifact
        self._tokenizer = tokenizer
        self._batcher = batcher
        self._max_texts = max_texts
        self._available = available

    @property
    def versions(self) -> list[str]:
        """
        The one revision that is loaded.
        """
        return [self._artifact.revision]

    async def healthy(self) -> bool:
        """
        Whether it can answer now.
        """
        return self.ready and self._available()

    async def open(self) -> None:
        """
        Warm up, then be ready.

        Raises:
            ArtifactError: the model's scores are not those of its labels.
        """
        self._batcher.start()
        for _ in range(_WARM_UPS):
            columns = (await self._probabilities(_WARM_UP_TEXTS)).shape[1]
        if columns != len(self._artifact.labels):
            raise ArtifactError(
                f"the model scores {columns} labels, its config.json names {len(self._artifact.labels)}"
            )
        await super().open()

    async def close(self) -> None:
        """
        Stop computing.
        """
        await super().close()
        await self._batcher.close()
        self._tokenizer.close()

    async def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> wire.Question:
        """
        Check the request; see `wire.question_from` for its errors.
        """
        question = wire.question_from(payload, max_texts=self._max_texts)
        if isinstance(payload, dict):
            payload.clear()  # upstream holds it until the answer: fields that nobody knows must not live as long
        record.current().end_phase("parse")
        return question

    async def predict(self, question: wire.Question, headers: Any, response_headers: dict[str, str]) -> wire.Answer:
        """
        Compute; see `Batcher.submit` for its errors.
        """
        probabilities = await self._probabilities(question.texts)
        response_headers["x-model-revision"] = self._artifact.revision
        record.current().fields["texts"] = len(question.texts)
        return wire.Answer(question, probabilities)

    async def postprocess(self, answer: wire.Answer, headers: Any, response_headers: Any) -> Any:
        """
        Render the answer in its question's protocol.
        """
        return wire.response_from(answer, self._artifact, self.name)

    def get_input_types(self) -> list[dict[str, Any]]:
        """
        OIP metadata of the input.
        """
        return predictions.tensor_metadata(len(self._artifact.labels))[0]

    def get_output_types(self) -> list[dict[str, Any]]:
        """
        OIP metadata of the outputs.
        """
        return predictions.tensor_metadata(len(self._artifact.labels))[1]

    async def _probabilities(self, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        if not texts:
            return np.empty((0, len(self._artifact.labels)), dtype=np.float32)
        current = record.current()
        token_ids = await self._tokenizer.encode(texts)
        current.end_phase("tokenise")
        probabilities = await self._batcher.submit(token_ids)
        current.end_phase("compute")
        return probabilities
