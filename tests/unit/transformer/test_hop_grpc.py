import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from serving import record
from serving.errors import ServiceError, Unavailable, UpstreamFault, UpstreamTimeout
from transformer.client import PredictorClient
from transformer.entry import Row
from transformer.hop import Unreachable
from transformer.hop_grpc import GrpcHop

from .parts import GrpcPredictor, answer_json, fault_of, grpc_error, revision_of, row_of

Code = grpc.StatusCode
LABELS_JSON = answer_json("r1", [])["parameters"]["labels"]
NOT_CONNECTED = "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:8090: Connection refused"
SECRET = "stream reset by predictor.internal:8090"


def answer_of(
    rows: list[Row],
    *,
    raw: bool,
    response_id: str = "",
    revision: str = "r1",
    labels: str = LABELS_JSON,
    **tensor: Any,
) -> pb.ModelInferResponse:
    """
    The predictor's answer, its scores raw or not.
    """
    scores = [score for row in rows for score in row]
    response = pb.ModelInferResponse(id=response_id)
    response.parameters["revision"].string_param = revision
    response.parameters["labels"].string_param = labels
    output = response.outputs.add(**{"name": "scores", "datatype": "FP32", "shape": [len(rows), 2]} | tensor)
    if raw:
        response.raw_output_contents.append(np.array(scores, dtype="<f4").tobytes())
    else:
        output.contents.fp32_contents.extend(scores)
    return response


def texts_in(request: pb.ModelInferRequest) -> list[str]:
    """
    The texts of raw BYTES, read by their lengths.
    """
    [raw] = request.raw_input_contents
    texts = []
    while raw:
        end = 4 + int.from_bytes(raw[:4], "little")
        texts.append(raw[4:end].decode())
        raw = raw[end:]
    return texts


@given(st.lists(st.text()), st.booleans())
async def test_rows_come_in_the_texts_order(texts: list[str], raw: bool) -> None:
    """
    N texts arrive as raw BYTES [N], and the N rows of an answer in either form come back in their order.
    """
    rows = [row_of("r1", text) for text in texts]
    predictor = GrpcPredictor(lambda _: answer_of(rows, raw=raw))
    client = PredictorClient(predictor.hop(), timeout_seconds=60)
    classified = await client.classify(texts, deadline=client.deadline())
    [request] = predictor.asked
    assert (classified.revision, classified.rows) == (revision_of("r1"), rows)
    assert texts_in(request) == texts
    assert [(t.name, t.datatype, list(t.shape)) for t in request.inputs] == [("text", "BYTES", [len(texts)])]
    assert [output.name for output in request.outputs] == ["scores"]


async def test_request_id_travels() -> None:
    """
    The predictor gets the request id that the client's request has.
    """
    predictor = GrpcPredictor(lambda _: answer_of([], raw=True))
    record.begin("id-of-the-client")
    await predictor.hop().ask([])
    assert predictor.metadata == [{"x-request-id": "id-of-the-client"}]


ROWS = [(0.25, 0.75), (0.5, 0.5)]


def with_raw(*raw: bytes) -> pb.ModelInferResponse:
    """
    An answer with other raw contents.
    """
    response = answer_of(ROWS, raw=True)
    response.raw_output_contents[:] = raw
    return response


@pytest.mark.parametrize(
    "answer",
    [
        pb.ModelInferResponse(),
        answer_of(ROWS[:1], raw=True),
        answer_of(ROWS * 2, raw=False),
        answer_of([(float("nan"), 0.5), (0.5, 0.5)], raw=True),
        answer_of([(1.5, -0.5), (0.5, 0.5)], raw=False),
        answer_of(ROWS, raw=True, revision=""),
        answer_of(ROWS, raw=True, labels=""),
        answer_of(ROWS, raw=True, labels='["A"]'),
        answer_of(ROWS, raw=True, name="logits"),
        answer_of(ROWS, raw=False, datatype="FP64"),
        with_raw(b"1234567"),
        with_raw(b"", b""),
        with_raw(b""),
        answer_of(ROWS, raw=True, response_id="of another question"),
    ],
    ids=range(14),
)
async def test_wrong_answer_is_an_upstream_fault(answer: pb.ModelInferResponse) -> None:
    """
    An answer that is short, long, of another type or question, or without its revision or labels is a 502.
    """
    assert type(await fault_of(GrpcPredictor(lambda _: answer).hop(), ["one", "two"])) is UpstreamFault


async def test_answer_names_its_question() -> None:
    """
    An answer with its question's name is one, and no two questions have the same.
    """

    def infer(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        return answer_of([], raw=True, response_id=request.id)

    predictor = GrpcPredictor(infer)
    for _ in range(10):
        assert (await predictor.hop().ask([])).digest == "r1"
    assert len({request.id for request in predictor.asked} - {""}) == 10


@contextlib.asynccontextmanager
async def answering_bytes(content: bytes) -> AsyncIterator[GrpcHop]:
    """
    A hop to a real gRPC server that answers so.
    """

    async def answer(_request: bytes, _context: object) -> bytes:
        return content

    server = aio.server()
    infer = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": infer}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield GrpcHop(f"127.0.0.1:{port}", use_tls=False, model_name="m")
    await server.stop(0)


async def test_answer_that_is_no_message_is_an_upstream_fault() -> None:
    """
    Bytes that are no message are nonsense as every other.
    """
    async with answering_bytes(b"\xff\xff\xff") as hop:
        assert type(await fault_of(hop, ["text"])) is UpstreamFault


def failing(*errors: Exception) -> GrpcPredictor:
    """
    A predictor whose calls fail so before it answers.
    """
    left = list(errors)

    def infer(_: pb.ModelInferRequest) -> pb.ModelInferResponse:
        if left:
            raise left.pop(0)
        return answer_of([], raw=True)

    return GrpcPredictor(infer)


@pytest.mark.parametrize(
    ("code", "error_type", "status"),
    [
        (Code.INVALID_ARGUMENT, "validation", 400),
        (Code.PERMISSION_DENIED, "forbidden", 403),
        (Code.NOT_FOUND, "not_found", 404),
        (Code.RESOURCE_EXHAUSTED, "too_large", 413),
        (Code.RESOURCE_EXHAUSTED, "overloaded", 429),
        (Code.RESOURCE_EXHAUSTED, "its_own", 429),
        (Code.DEADLINE_EXCEEDED, "slow", 408),
    ],
)
async def test_refusal_is_passed_on(code: grpc.StatusCode, error_type: str, status: int) -> None:
    """
    The predictor's own refusal keeps its words and its type, and its status is that of REST.
    """
    error = await fault_of(failing(grpc_error(code, "what was wrong", error_type=error_type)).hop(), ["text"])
    assert (error.status, error.message, error.error_type) == (status, "what was wrong", error_type)
    assert error.grpc_status is code
    assert (error.retry_after_seconds is not None) == (status == 429)


@pytest.mark.parametrize(
    "code", [Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED, Code.UNIMPLEMENTED]
)
@pytest.mark.parametrize("error_type", ["", "two words"])
async def test_refusal_of_something_between_is_no_word_on_the_request(code: grpc.StatusCode, error_type: str) -> None:
    """
    A refusal without the predictor's type is a 502 that names the code and where to look, and repeats nothing.
    """
    error = await fault_of(failing(grpc_error(code, SECRET, error_type=error_type)).hop(), ["text"])
    assert (error.status, error.error_type) == (502, "upstream")
    assert f"answered {code.name}" in error.message
    assert "route" in error.message


async def test_limit_of_something_between_is_one() -> None:
    """
    A limit means the same whoever sets it, gRPC itself at the predictor for one, and gets words of ours.
    """
    error = await fault_of(failing(grpc_error(Code.RESOURCE_EXHAUSTED, SECRET)).hop(), ["text"])
    assert (error.status, error.error_type) == (429, "overloaded")


async def test_message_over_the_predictors_limit_is_a_413() -> None:
    """
    A large message that gRPC itself refuses is a 413 that says what would be right.
    """
    error = await fault_of(
        failing(grpc_error(Code.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5 vs. 4)")).hop(),
        ["text"],
    )
    assert (error.status, error.error_type) == (413, "too_large")
    assert "send fewer or shorter" in error.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (grpc_error(Code.UNAVAILABLE, "stopping", error_type="unavailable"), Unavailable),
        (grpc_error(Code.UNAVAILABLE, SECRET), Unreachable),
        (grpc_error(Code.CANCELLED, SECRET), Unreachable),
        (grpc_error(Code.DEADLINE_EXCEEDED, SECRET), UpstreamTimeout),
        *((grpc_error(code, SECRET), UpstreamFault) for code in (Code.INTERNAL, Code.UNKNOWN, Code.UNIMPLEMENTED)),
    ],
    ids=lambda value: str(value.code()) if hasattr(value, "code") else None,
)
async def test_failure_has_its_error(error: Exception, kind: type[ServiceError]) -> None:
    """
    A predictor that is not ready or hangs up is a 503, one that was too slow a 504, and any other failure a 502.
    """
    predictor = failing(error)
    assert type(await fault_of(predictor.hop(), ["text"])) is kind
    assert len(predictor.asked) == 1


async def test_question_without_a_connection_is_asked_once_more() -> None:
    """
    Where no connection could be made, the question is asked a second time, after one more try to connect.
    """
    predictor = failing(grpc_error(Code.UNAVAILABLE, NOT_CONNECTED))
    assert (await predictor.hop().ask([])).digest == "r1"
    assert (len(predictor.asked), predictor.waits) == (2, 1)
    predictor = failing(*[grpc_error(Code.UNAVAILABLE, NOT_CONNECTED)] * 3)
    assert type(await fault_of(predictor.hop(), [])) is Unreachable
    assert (len(predictor.asked), predictor.waits) == (2, 1)


@pytest.mark.parametrize(
    ("host", "use_tls", "target"),
    [("name", False, "name:80"), ("name", True, "name:443"), ("name:8081", True, "name:8081")],
)
def test_port_left_out_is_that_of_the_scheme(host: str, use_tls: bool, target: str) -> None:
    """
    A host without a port means the same port over gRPC as in a URL.
    """
    assert GrpcHop(host, use_tls=use_tls, model_name="m")._target == target
