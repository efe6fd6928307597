import asyncio

import httpx
import pytest

from serving.errors import ServiceError, Unavailable, UpstreamFault, UpstreamRefusal, UpstreamTimeout

from .parts import BASE_URL, answering, fault_of


async def test_broken_encoding_is_an_upstream_fault() -> None:
    """
    A body that is not in the encoding it claims is a 502.
    """
    broken = answering(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip"))
    assert isinstance(await fault_of(broken, ["text"]), UpstreamFault)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 418, 422, 429, 460, 499])
@pytest.mark.parametrize("words", [("what was wrong", "its_type"), ("what was wrong", "")])
async def test_refusal_is_passed_on(status: int, words: tuple[str, str]) -> None:
    """
    The predictor's own 4xx keeps its status, its words and its type.
    """
    message, error_type = words
    error = await fault_of(answering(status, json={"error": message, "error_type": error_type}), ["text"])
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
    error = await fault_of(answering(404, content=content), ["text"])
    assert (error.status, error.error_type) == (404, "not_found")
    assert error.message


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
    error = await fault_of(answering(status, headers={"location": BASE_URL}, json={"error": secret}), ["text"])
    assert type(error) is kind


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(kind, Unavailable) for kind in (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)]
    + [(kind, UpstreamTimeout) for kind in (httpx.ReadTimeout, httpx.WriteTimeout)],
)
async def test_broken_connection_has_its_error(failure: type[httpx.TransportError], kind: type[ServiceError]) -> None:
    """
    A predictor that cannot be reached or hangs up is a 503, one that is too slow a 504.
    """

    def failing(_request: httpx.Request) -> httpx.Response:
        raise failure(f"cannot talk to {BASE_URL}")

    assert type(await fault_of(failing, ["text"])) is kind


async def test_silence_ends_with_the_limit() -> None:
    """
    A predictor that never answers is a 504 after `timeout_seconds`, whatever its connection does.
    """

    async def silent(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert type(await fault_of(silent, ["text"], timeout_seconds=0.01)) is UpstreamTimeout
