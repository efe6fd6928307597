from unittest.mock import Mock

import aiohttp
import httpx
import pytest

from serving import record
from serving.errors import ServiceError, Unavailable, UpstreamFault, UpstreamRefusal, UpstreamTimeout
from transformer.hop import Unreachable

from .parts import BASE_URL, Handler, answer_json, answering, fault_of, rest_hop


def failing(failures: list[Exception], times: list[int]) -> Handler:
    """
    A predictor whose connections fail so before it answers; `times` gets a 1 for each question.
    """

    def answer(_request: httpx.Request) -> httpx.Response:
        times.append(1)
        if len(times) <= len(failures):
            raise failures[len(times) - 1]
        return httpx.Response(200, json=answer_json("r1", []))

    return answer


async def test_request_id_travels() -> None:
    """
    The predictor gets the request id that the client's request has.
    """
    seen = []

    def noting(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["x-request-id"])
        return httpx.Response(200, json=answer_json("r1", []))

    record.begin("id-of-the-client")
    await rest_hop(noting).ask([])
    assert seen == ["id-of-the-client"]


@pytest.mark.parametrize("failure", [aiohttp.ClientResponseError(Mock(), ()), aiohttp.ContentTypeError(Mock(), ())])
async def test_response_that_is_no_http_is_an_upstream_fault(failure: Exception) -> None:
    """
    Something that answers, and not in HTTP, is a 502.
    """
    assert isinstance(await fault_of(rest_hop(failing([failure], [])), ["text"]), UpstreamFault)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 418, 422, 429, 460, 499])
@pytest.mark.parametrize("words", [("what was wrong", "its_type"), ("what was wrong", "")])
async def test_refusal_is_passed_on(status: int, words: tuple[str, str]) -> None:
    """
    The predictor's own 4xx keeps its status, its words and its type.
    """
    message, error_type = words
    error = await fault_of(rest_hop(answering(status, json={"error": message, "error_type": error_type})), ["text"])
    assert isinstance(error, UpstreamRefusal)
    assert (error.status, error.message) == (status, message)
    assert error.error_type == error_type or not error_type
    assert error.error_type
    assert (error.retry_after_seconds is not None) == (status == 429)


@pytest.mark.parametrize(
    "content", [b"<html>nginx at predictor.internal:8090</html>", b"", b"[]", b'{"detail": "Not Found"}', b"null"]
)
async def test_refusal_in_another_tongue_keeps_its_status(content: bytes) -> None:
    """
    A 4xx whose body is not ours keeps its status and gets words of ours.
    """
    error = await fault_of(rest_hop(answering(404, content=content)), ["text"])
    assert (error.status, error.error_type) == (404, "not_found")
    assert error.message


@pytest.mark.parametrize("error_type", ["Größe", "two words", "x" * 33, 7, {}])
async def test_type_that_is_no_word_is_replaced(error_type: object) -> None:
    """
    An error's type that is no short word of ASCII does not travel on: gRPC's metadata could not hold it.
    """
    error = await fault_of(rest_hop(answering(413, json={"error": "wrong", "error_type": error_type})), ["text"])
    assert (error.message, error.error_type) == ("wrong", "too_large")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, UpstreamFault), (501, UpstreamFault), (502, UpstreamFault), (503, Unavailable), (504, UpstreamTimeout)]
    + [(status, UpstreamFault) for status in (201, 204, 302, 304)],
)
async def test_status_that_is_no_answer_has_its_error(status: int, kind: type[ServiceError]) -> None:
    """
    503 and 504 mean the same from us, every other status that is neither 200 nor 4xx is a 502; no words are passed on.
    """
    secret = f"Traceback at {BASE_URL}/v2"
    answer = answering(status, headers={"location": BASE_URL}, json={"error": secret})
    assert type(await fault_of(rest_hop(answer), ["text"])) is kind


UNCONNECTED = aiohttp.ClientConnectorError(Mock(), ConnectionRefusedError(f"cannot connect to {BASE_URL}"))
BROKEN = [
    aiohttp.ConnectionTimeoutError(f"to {BASE_URL}"),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientOSError(104, "Connection reset by peer"),
    aiohttp.ClientPayloadError("not enough data"),
]


@pytest.mark.parametrize("failure", [UNCONNECTED, *BROKEN])
async def test_broken_connection_is_a_503(failure: Exception) -> None:
    """
    A predictor that cannot be reached or hangs up is a 503.
    """
    assert type(await fault_of(rest_hop(failing([failure] * 2, [])), ["text"])) is Unreachable


async def test_question_without_a_connection_is_asked_once_more() -> None:
    """
    Where no connection could be made, the question is asked a second time, and not a third.
    """
    times: list[int] = []
    assert (await rest_hop(failing([UNCONNECTED], times)).ask([])).digest == "r1"
    assert len(times) == 2
    times.clear()
    await fault_of(rest_hop(failing([UNCONNECTED] * 3, times)), [])
    assert len(times) == 2


@pytest.mark.parametrize("failure", BROKEN)
async def test_question_that_may_have_been_sent_is_not_repeated(failure: Exception) -> None:
    """
    A question is asked once where its connection broke, and where none was made in time.
    """
    times: list[int] = []
    await fault_of(rest_hop(failing([failure], times)), ["text"])
    assert len(times) == 1
