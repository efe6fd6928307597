"""
One service under a fuzz run: sends it cases, and says what is wrong with an answer.
"""

import http
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

import grpc
import httpx
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from prometheus_client.parser import text_string_to_metric_families

from fuzzing.case import GRPC, Case
from fuzzing.rest import CHUNKED
from fuzzing.rpc import INFER

_TIMEOUT_SECONDS = 60.0
_TEXTS = ["I hate you.", "I love you.", "It is what it is."]
_CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}
_SAME = 1e-5


@dataclass(frozen=True)
class Answer:
    """
    What came back.

    Attributes:
        status: HTTP's number, gRPC's word, or the name of what went wrong instead.
        fault: what is wrong with it; None where nothing is.
    """

    status: str
    fault: str | None = None


@dataclass(frozen=True)
class Vitals:
    """
    What a service tells of its process.
    """

    started: float
    resident_mib: float


class Client:
    """
    A client of one service.

    Args:
        name: of the service.
        url: where it speaks REST.
        target: host:port where it speaks gRPC.
    """

    def __init__(self, name: str, url: str, target: str) -> None:
        self.name = name
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, limits=limits, trust_env=False)
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = aio.insecure_channel(target, options=unlimited)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._opened.enter_async_context(self._http)
        await self._opened.enter_async_context(self._channel)
        self._right = await self._scores(fresh=True)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.aclose()

    async def ask(self, case: Case) -> Answer:
        """
        Send a case, and judge the answer.
        """
        return await (self._call(case) if case.method == GRPC else self._request(case))

    async def check(self, *, fresh: bool) -> Answer:
        """
        Ask what is right, and judge whether the answer is that of the run's start.

        Args:
            fresh: past the cache.
        """
        try:
            scores = await self._scores(fresh=fresh)
        except (httpx.HTTPError, aio.AioRpcError, LookupError, ValueError) as error:
            return Answer(type(error).__name__, f"a right question got no answer: {error!r}")
        differences = [abs(one - other) for one, other in zip(scores, self._right, strict=True)]
        wrong = f"a right question got another answer: {scores} and not {self._right}"
        return Answer("right", None if max(differences) < _SAME else wrong)

    async def vitals(self) -> Vitals | None:
        """
        What `/metrics` tells; None where it tells nothing of memory, as on macOS, or nobody answers.
        """
        try:
            text = (await self._http.get("/metrics")).text
        except httpx.HTTPError:
            return None
        samples = {
            sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
        }
        if "process_resident_memory_bytes" not in samples:
            return None
        return Vitals(samples["process_start_time_seconds"], samples["process_resident_memory_bytes"] / 2**20)

    async def _request(self, case: Case) -> Answer:
        # httpx sends in chunks what comes in pieces, and says so
        headers = [(name.encode(), value) for name, value in case.headers if (name, value) not in CHUNKED]
        content = _pieces(case.body) if len(headers) < len(case.headers) else case.body
        try:
            answer = await self._http.request(case.method, case.path, headers=headers, content=content)
        except httpx.HTTPError as error:
            return Answer(type(error).__name__, f"no answer: {error!r}")
        status = str(answer.status_code)
        if answer.is_server_error:
            return Answer(status, f"a fault of the server's: {answer.text}")
        if answer.is_client_error and case.method != "HEAD" and not _is_refusal(answer):
            return Answer(status, f"a refusal of another shape: {answer.text[:500]}")
        return Answer(status)

    async def _call(self, case: Case) -> Answer:
        metadata = [(name, value if name.endswith("-bin") else value.decode()) for name, value in case.headers]
        try:
            await self._channel.unary_unary(case.path)(case.body, metadata=metadata, timeout=_TIMEOUT_SECONDS)  # type: ignore[arg-type]  # as below
        except aio.AioRpcError as error:
            code: str = error.code().name
            return Answer(code, None if code in _CODES else f"a fault of the server's: {error.details()}")
        return Answer(grpc.StatusCode.OK.name)

    async def _scores(self, *, fresh: bool) -> list[float]:
        """
        The scores of the right question, over REST and over gRPC.
        """
        headers = {"cache-control": "no-cache"} if fresh else {}
        tensor: dict[str, Any] = {"name": "text", "shape": [len(_TEXTS)], "datatype": "BYTES"}
        question = {"inputs": [{**tensor, "data": _TEXTS}], "outputs": [{"name": "scores"}]}
        answer = await self._http.post("/v2/models/sentiment/infer", json=question, headers=headers)
        [scores] = answer.raise_for_status().json()["outputs"]
        message = pb.ModelInferRequest(model_name="sentiment")
        message.inputs.add(**tensor).contents.bytes_contents.extend(text.encode() for text in _TEXTS)
        call = self._channel.unary_unary(
            INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        replied = await call(message, metadata=tuple(headers.items()), timeout=_TIMEOUT_SECONDS)
        return [*scores["data"], *replied.outputs[0].contents.fp32_contents]


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    yield content[len(content) // 2 :]


def _is_refusal(answer: httpx.Response) -> bool:
    try:
        said = answer.json()
    except ValueError:
        return False
    shape = isinstance(said, dict) and isinstance(said.get("error"), str) and isinstance(said.get("error_type"), str)
    return shape and (answer.status_code != http.HTTPStatus.TOO_MANY_REQUESTS or "retry-after" in answer.headers)
