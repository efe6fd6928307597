"""
The Open Inference Protocol's model routes, in place of KServe's own.

Upstream answers a wrong request with 422 or 500, refuses JSON by its Content-Type, and knows no versions
(KSERVE.md 11, 12, 16); the protocol wants a 4xx with `{"error": …}`.
"""

from typing import Any

from fastapi import APIRouter
from kserve.errors import ModelNotReady
from starlette.requests import Request
from starlette.responses import Response

from serving import infer_body
from serving.body import BINARY_HEADER
from serving.dataplane import HonestDataPlane


def router(dataplane: HonestDataPlane) -> APIRouter:
    """
    Infer, and metadata and readiness of a version; to be added before KServe's so that these are found first.
    """
    routes = APIRouter(prefix="/v2", tags=["V2"])

    @routes.get("/", include_in_schema=False)
    async def metadata() -> dict[str, Any]:
        """
        Metadata of the server, at the path that the protocol's OpenAPI has; upstream's has no slash at its end.
        """
        return dataplane.metadata()

    @routes.get("/models/{model_name}/versions/{model_version}")
    async def version_metadata(model_name: str, model_version: str) -> dict[str, Any]:
        """
        Metadata of a model's version.
        """
        await dataplane.check_version(model_name, model_version)
        return await dataplane.model_metadata(model_name)

    @routes.get("/models/{model_name}/versions/{model_version}/ready")
    async def version_ready(model_name: str, model_version: str) -> dict[str, Any]:
        """
        Whether a model's version can answer now.
        """
        await dataplane.check_version(model_name, model_version)
        if not await dataplane.model_ready(model_name):
            raise ModelNotReady(model_name)
        return {"name": model_name, "ready": True}

    async def infer(request: Request) -> Response:
        name, version = request.path_params["model_name"], request.path_params.get("model_version")
        await dataplane.check_version(name, version)
        headers = dict(request.headers)
        question = infer_body.decode(await request.body(), headers.get(BINARY_HEADER), name, version)
        answer, response_headers = await dataplane.infer(name, question, headers)
        return infer_body.encode(answer, response_headers)

    # Starlette's routes: FastAPI would look for parameters in each request
    routes.add_route("/v2/models/{model_name}/infer", infer, methods=["POST"])
    routes.add_route("/v2/models/{model_name}/versions/{model_version}/infer", infer, methods=["POST"])
    return routes
