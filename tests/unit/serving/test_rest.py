from collections.abc import AsyncIterator
from http import HTTPMethod
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serving import oip
from serving.admission import Admission
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.model import ServedModel
from serving.observer import Observer
from serving.rest import RestServer
from serving.settings import ServingSettings

TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}


@pytest.fixture
async def client(dataplane: HonestDataPlane, drain: Drain, observer: Observer) -> AsyncIterator[httpx.AsyncClient]:
    """
    A client of the whole REST application.
    """
    rest = RestServer(
        ServingSettings(max_body_bytes=500),
        dataplane,
        ClosedRepository(dataplane.model_registry),
        Admission(max_requests=9, max_body_bytes=9000),
        observer,
        document={"info": {"title": "t"}, "paths": {}},
        routers=[oip.router(dataplane)],
        fastapi_paths=(),
        drain=drain,
    )
    app = FastAPI()  # KServe's own is one a process
    rest._add_middlewares(app)
    rest._register_endpoints(app)
    rest._add_exception_handlers(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/models/m:predict", "/v2/models/m/infer", "/v2/models/m/versions/r1/infer"])
async def test_wrong_method(client: httpx.AsyncClient, method: HTTPMethod, path: str) -> None:
    """
    A wrong method on a route that takes POST is 405, and the answer says what is right.
    """
    response = await client.request(method, path)
    assert (response.status_code, response.json()["error_type"]) == (405, "method")
    assert "POST" in response.json()["error"]
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/m:predict", b'{"text": "a"}'),
        ("/v2/models/m/infer", b'{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}'),
    ],
)
async def test_content_type(client: httpx.AsyncClient, kind: str | None, head: bytes, path: str, body: bytes) -> None:
    """
    JSON is accepted whatever the Content-Type says or omits, and with a byte order mark.
    """
    response = await client.post(path, content=head + body, headers={"content-type": kind} if kind else None)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert "server-timing" in response.headers


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/m:predict", "{", 400),
        ("/v1/models/m:predict", "[]", 400),
        ("/v1/models/m:predict", '{"text": 3}', 400),
        ("/v1/models/x:predict", '{"text": "a"}', 404),
        ("/v1/models/m:explain", '{"text": "a"}', 404),
        ("/v1/models/m:predict", '{"text": "%s"}' % ("a" * 500), 413),
        ("/v1/models/m:predict", '{"text": ["", "", "", "", "", "", "", "", "", ""]}', 413),
        ("/v1/models/m:predict", '{"text": "fail"}', 500),
        ("/v2/models/m/infer", "{", 400),
        ("/v2/models/m/infer", "{}", 400),
        (
            "/v2/models/m/infer",
            '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["fail"]}]}',
            500,
        ),
        ("/v2/models/x/infer", '{"inputs": []}', 404),
        ("/v2/models/m/versions/r2/infer", '{"inputs": []}', 404),
        ("/v2/repository/models/m/unload", "", 403),
        ("/v2/repository/models/m/load", "", 403),
        ("/nothing/here", "", 404),
    ],
)
async def test_errors(client: httpx.AsyncClient, path: str, body: str, status: int) -> None:
    """
    Every error has the contract's status and shape and its request's id, and says nothing of the inside.
    """
    response = await client.post(path, content=body, headers={"x-request-id": "abc-1"})
    assert response.status_code == status
    assert set(response.json()) == {"error", "error_type"}
    assert response.headers["x-request-id"] == "abc-1"
    assert not [word for word in ("fail", "10.0.0.7", "Traceback", "/site-packages") if word in response.text]


@pytest.mark.parametrize("path", ["/v2/models/m/versions/r1", "/v2/models/m/versions/r1/ready", "/v2/models/m"])
async def test_versions(client: httpx.AsyncClient, path: str) -> None:
    """
    A version that the model lists has metadata and readiness, as the model has; another is 404.
    """
    assert (await client.get(path)).json()["name"] == "m"
    assert (await client.get(path.replace("r1", "r2").replace("models/m", "models/x"))).status_code == 404


@pytest.mark.parametrize("wish", [{}, {"outputs": [{"name": "label"}]}, {"id": "42"}])
async def test_no_nulls(client: httpx.AsyncClient, wish: dict[str, Any]) -> None:
    """
    An OIP answer has no null field, which the protocol's schema does not know (KSERVE.md 13).
    """
    answer = (await client.post("/v2/models/m/versions/r1/infer", json={"inputs": [TENSOR], **wish})).json()
    assert None not in answer.values()
    assert {"id", "model_name", "model_version", "outputs", "parameters"} == set(answer)


async def test_unknown_output(client: httpx.AsyncClient) -> None:
    """
    An output that does not exist is 400.
    """
    response = await client.post("/v2/models/m/infer", json={"inputs": [TENSOR], "outputs": [{"name": "x"}]})
    assert (response.status_code, response.json()["error_type"]) == (400, "validation")


async def test_draining(client: httpx.AsyncClient, drain: Drain) -> None:
    """
    While draining the process is live and not ready, and requests that still arrive are answered.
    """
    assert (await client.get("/v2/health/ready")).status_code == 200
    drain.draining = True
    unready = await client.get("/v2/health/ready")
    assert (unready.status_code, unready.headers["retry-after"]) == (503, "1")
    assert (await client.get("/v2/health/live")).status_code == 200
    assert (await client.post("/v1/models/m:predict", json={"text": "a"})).status_code == 200


async def test_unready(client: httpx.AsyncClient, model: ServedModel) -> None:
    """
    A model that cannot answer is 503 with Retry-After, on every protocol.
    """
    await model.close()
    for path, body in (("/v1/models/m:predict", {"text": "a"}), ("/v2/models/m/infer", {"inputs": [TENSOR]})):
        response = await client.post(path, json=body)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
