"""
The transformer as a KServe model: hooks that hand over to the parts.
"""

from dataclasses import dataclass
from typing import Any

from serving import predictions, record
from serving.model import ServedModel
from transformer import contract
from transformer.answers import Answer, Answers
from transformer.client import PredictorClient
from transformer.contract import Question
from transformer.metrics import scores
from transformer.redis_store import RedisStore
from transformer.revision import RevisionWatch


@dataclass(frozen=True, slots=True)
class _Answered:
    question: Question
    answer: Answer


class SentimentTransformer(ServedModel):
    """
    The contract and the cache in front of a predictor.

    Args:
        name: the model's name in the routes.
        answers: texts → answers.
        watch: the revision, for the metadata.
        client: closed with the model.
        store: closed with the model.
        max_texts: most texts a request.
    """

    def __init__(  # noqa: PLR0913  # its parts
        self,
        name: str,
        answers: Answers,
        watch: RevisionWatch,
        client: PredictorClient,
        store: RedisStore,
        *,
        max_texts: int,
    ) -> None:
        super().__init__(name)
        self._answers = answers
        self._watch = watch
        self._client = client
        self._store = store
        self.max_texts = max_texts

    @property
    def versions(self) -> list[str]:
        """
        The revision that answers now, once it is known.
        """
        return [self._watch.known.digest] if self._watch.known else []

    async def current_versions(self) -> list[str]:
        """
        The same, after asking the predictor where the knowledge is old.
        """
        await self._watch.current()
        return self.versions

    async def open(self) -> None:
        """
        Be ready whether or not the predictor is: hits can be answered without it (CONTRACT: Operations).
        """
        await self._watch.current()
        await super().open()

    async def close(self) -> None:
        """
        Finish the stores and disconnect.
        """
        await super().close()
        await self._client.close()
        await self._store.close()

    async def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> Question:
        """
        Check the request; see `contract.parse` for its errors. The older routes have parsed theirs already.
        """
        question = (
            payload
            if isinstance(payload, Question)
            else contract.parse(payload, max_texts=self.max_texts, model_name=self.name)
        )
        if isinstance(payload, dict):
            payload.clear()  # upstream holds it until the answer: fields that nobody knows must not live as long
        record.current().end_phase("parse")
        return question

    async def predict(self, question: Question, headers: dict[str, str], response_headers: dict[str, str]) -> _Answered:
        """
        Answer; see `Answers.answer` for its errors.
        """
        answer = await self._answers.answer(question.texts, fresh=_wants_fresh(headers or {}))
        response_headers["x-model-revision"] = answer.revision.digest
        response_headers["x-cache"] = answer.cache_status
        response_headers["x-cache-hits"] = f"{answer.hits}/{len(answer.rows)}"
        record.current().fields.update(texts=len(answer.rows), hits=answer.hits)
        _count_scores(answer)
        return _Answered(question, answer)

    async def postprocess(self, answered: _Answered, headers: Any, response_headers: Any) -> Any:
        """
        Render the answer the way its question was asked.
        """
        return answered.question.render(answered.answer)

    def get_input_types(self) -> list[dict[str, Any]]:
        """
        OIP metadata of the input.
        """
        return predictions.tensor_metadata(-1)[0]

    def get_output_types(self) -> list[dict[str, Any]]:
        """
        OIP metadata of the outputs; the number of labels is -1 until the revision is known.
        """
        return predictions.tensor_metadata(len(self._watch.known.labels) if self._watch.known else -1)[1]


def _count_scores(answer: Answer) -> None:
    for row in answer.rows:
        best = max(row)
        scores(answer.revision.labels[row.index(best)]).observe(best)


def _wants_fresh(headers: dict[str, str]) -> bool:
    directives = headers.get("cache-control", "").lower().split(",")
    return "no-cache" in {directive.strip() for directive in directives}
