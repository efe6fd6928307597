import json
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


@pytest.mark.parametrize("answered", ["id of another question", 7, [], {}])
async def test_answer_to_another_question_is_an_upstream_fault(answered: object) -> None:
    """
    An answer that names another question is a 502.
    """
    answer = answer_json("r1", []) | {"id": answered}
    assert type(await fault_of(rest_hop(answering(200, json=answer)), [])) is UpstreamFault


@pytest.mark.parametrize("forgets", [False, True])
async def test_answer_names_its_question(*, forgets: bool) -> None:
    """
    An answer with its question's name, or none, is one, and no two questions have the same.
    """
    seen = set()

    def repeating(request: httpx.Request) -> httpx.Response:
        sent = json.loads(request.content)["id"]
        seen.add(sent)
        return httpx.Response(200, json=answer_json("r1", []) | {"id": None if forgets else sent})

    for _ in range(10):
        assert (await rest_hop(repeating).ask([])).digest == "r1"
    assert len(seen) == 10


@pytest.mark.parametrize("failure", [aiohttp.ClientResponseError(Mock(), ()), aiohttp.ContentTypeError(Mock(), ())])
async def test_response_that_is_no_http_is_an_upstream_fault(failure: Exception) -> None:
    """
    Something that answers, and not in HTTP, is a 502.
    """
    assert isinstance(await fault_of(rest_hop(failing([failure], [])), ["text"]), UpstreamFault)


REFUSALS = [400, 401, 403, 404, 405, 413, 418, 422, 429, 460, 499]


@pytest.mark.parametrize("status", REFUSALS)
async def test_refusal_is_passed_on(status: int) -> None:
    """
    The predictor's own 4xx keeps its status, its words and its type.
    """
    said = {"error": "what was wrong", "error_type": "its_type"}
    error = await fault_of(rest_hop(answering(status, json=said)), ["text"])
    assert isinstance(error, UpstreamRefusal)
    assert (error.status, error.message, error.error_type) == (status, "what was wrong", "its_type")
    assert (error.retry_after_seconds is not None) == (status == 429)


FOREIGN = [
    b"<html>nginx at predictor.internal:8090</html>",
    b"RBAC: access denied",
    b"",
    b"[]",
    b"null",
    b'{"detail": "Not Found"}',
    b'{"error": "Not Found at predictor.internal:8090"}',
    b'{"error": ["wrong"], "error_type": "not_found"}',
    *(
        b'{"error": "wrong", "error_type": %b}' % kind
        for kind in (b"7", b"{}", b'""', b'"two words"', b'"%b"' % (b"x" * 33))
    ),
    '{"error": "wrong", "error_type": "Größe"}'.encode(),
]


@pytest.mark.parametrize("content", FOREIGN)
async def test_refusal_of_something_between_is_no_word_on_the_request(content: bytes) -> None:
    """
    A 4xx that is not in the predictor's form is a 502 that names the status and where to look, and repeats nothing.
    """
    for status in {*REFUSALS} - {413, 429}:
        error = await fault_of(rest_hop(answering(status, content=content)), ["text"])
        assert (error.status, error.error_type) == (502, "upstream")
        assert f"answered {status}" in error.message
        assert "route" in error.message


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize(("status", "error_type", "right"), [(413, "too_large", "fewer"), (429, "overloaded", "again")])
async def test_limit_of_something_between_is_one(status: int, error_type: str, right: str, content: bytes) -> None:
    """
    413 and 429 mean the same whoever says them, and get words of ours.
    """
    error = await fault_of(rest_hop(answering(status, content=content)), ["text"])
    assert (error.status, error.error_type) == (status, error_type)
    assert right in error.message


async def test_log_tells_who_answered() -> None:
    """
    The log has the status and who gave it, so that a missing route is not looked for in the model.
    """
    current = record.begin(None)
    await fault_of(rest_hop(answering(404, headers={"server": "istio-envoy"})), ["text"])
    assert current.fields["upstream"] == "HTTP 404: istio-envoy"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, UpstreamFault), (501, UpstreamFault), (502, Unavailable), (503, Unavailable), (504, UpstreamTimeout)]
    + [(status, UpstreamFault) for status in (201, 204, 302, 304)],
)
async def test_status_that_is_no_answer_has_its_error(status: int, kind: type[ServiceError]) -> None:
    """
    502 and 503 are a 503, 504 is a 504, every other status that is neither 200 nor 4xx a 502; no words are passed on.
    """
    secret = f"Traceback at {BASE_URL}/v2"
    for error_type in ("", "internal"):
        answer = answering(status, headers={"location": BASE_URL}, json={"error": secret, "error_type": error_type})
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
