"""
The hop to the predictor: OIP v2 over REST, on a client of ours.

KServe's own client drops its retries, keeps one singleton for every URL, waits 600 s, and turns each failure into a
500 with the internal URL in it (KSERVE.md 3, 4, 6, 21; KServe #4247).
"""

import asyncio
from dataclasses import dataclass

import httpx
import orjson

from serving import record
from serving.errors import Unavailable, UpstreamFault, UpstreamRefusal, UpstreamTimeout
from transformer import lenient
from transformer.entry import Row, is_distribution
from transformer.revision import ModelRevision

# Idle connections end here before KServe ends them there (65 s), so none is reused while it closes.
_KEEP_ALIVE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Classified:
    """
    One response of the predictor: a row per text, all of one revision.
    """

    revision: ModelRevision
    rows: list[Row]


class PredictorClient:
    """
    Asks the predictor.

    Args:
        base_url: scheme, host and port.
        model_name: the model's name in the predictor's routes.
        timeout_seconds: longest wait for one answer.
    """

    def __init__(self, base_url: str, *, model_name: str, timeout_seconds: float) -> None:
        self._path = f"/v2/models/{model_name}/infer"
        self._timeout_seconds = timeout_seconds
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=_KEEP_ALIVE_SECONDS)
        self._http = httpx.AsyncClient(base_url=base_url, limits=limits, timeout=timeout_seconds, trust_env=False)

    async def close(self) -> None:
        """
        Disconnect.
        """
        await self._http.aclose()

    async def revision(self) -> ModelRevision:
        """
        The predictor's revision: that of its answer to no text at all. Errors as `classify`.
        """
        return (await self.classify([])).revision

    async def classify(self, texts: list[str]) -> Classified:
        """
        Scores of N ≥ 0 texts, in their order, from one response.

        Raises:
            UpstreamRefusal: the predictor's own 4xx, 429 among them.
            UpstreamFault: 502, the answer is no answer.
            Unavailable: 503, the predictor cannot be reached or is not ready.
            UpstreamTimeout: 504, no answer in time.
        """
        return _classified(await self._post(_question(texts)), len(texts))

    async def _post(self, body: bytes) -> bytes:
        headers = {"content-type": "application/json", "x-request-id": record.current().request_id}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._http.post(self._path, content=body, headers=headers)
        except (TimeoutError, httpx.TimeoutException) as error:
            _note(error)
            raise UpstreamTimeout(
                f"the model did not answer within {self._timeout_seconds:g} s; send fewer texts"
            ) from None
        except httpx.TransportError as error:
            _note(error)
            raise Unavailable("the model cannot be reached; texts answered before are still served") from None
        except httpx.HTTPError as error:
            _note(error)
            raise _nonsense() from None
        if response.status_code == httpx.codes.OK:
            return response.content
        raise _refusal(response)


def _note(error: Exception) -> None:
    # for the log, which may know what the client may not
    record.current().fields["upstream"] = f"{type(error).__name__}: {error}"


def _question(texts: list[str]) -> bytes:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    return orjson.dumps({"inputs": [tensor], "outputs": [{"name": "scores"}]})


def _refusal(response: httpx.Response) -> Exception:
    if response.is_client_error:
        body = lenient.loads(response.content)
        message, error_type = (body.get("error"), body.get("error_type")) if isinstance(body, dict) else (None, None)
        return UpstreamRefusal(
            response.status_code, str(message or "the model refused this request"), str(error_type or "")
        )
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return Unavailable("the model is not ready; texts answered before are still served")
    if response.status_code == httpx.codes.GATEWAY_TIMEOUT:
        return UpstreamTimeout("the model did not answer in time; send fewer texts")
    return UpstreamFault("the model failed on this request")


def _classified(content: bytes, count: int) -> Classified:
    match lenient.loads(content):
        case {
            "outputs": [{"name": "scores", "data": [*scores]}],
            "parameters": {"revision": str(digest), "labels": str(labels)},
        }:
            revision = ModelRevision(digest, _labels(labels))
            return Classified(revision, _rows(scores, count, len(revision.labels)))
        case _:
            raise _nonsense()


def _labels(labels: str) -> tuple[str, ...]:
    names = lenient.loads(labels.encode())
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _nonsense()
    return tuple(names)


def _rows(scores: list[object], count: int, columns: int) -> list[Row]:
    numbers = [score for score in scores if isinstance(score, int | float) and not isinstance(score, bool)]
    rows = list(zip(*[iter(numbers)] * columns, strict=False))
    if not len(scores) == len(numbers) == count * columns or len(rows) != count or not all(map(is_distribution, rows)):
        raise _nonsense()
    return rows


def _nonsense() -> UpstreamFault:
    return UpstreamFault("the model's answer was not understood")
