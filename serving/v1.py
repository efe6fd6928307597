"""
KServe's v1 model routes, in place of its own.

Upstream's GET reaches a model named `<m>:predict`, and another method is told that GET would be right, since that
route comes first; `:explain` reads a missing attribute (KSERVE.md 23). Its `:predict` hands on raw bytes for an
unfamiliar Content-Type, and looks for CloudEvents, whose headers make it fail on what is none (KSERVE.md 10).
"""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.body import load_json
from serving.dataplane import HonestDataPlane
from serving.errors import MethodNotAllowed, NotFound


def router(dataplane: HonestDataPlane) -> APIRouter:
    """
    Predict, and what is no route; to be added before KServe's so that these are found first.
    """
    routes = APIRouter()

    async def predict(request: Request) -> Response:
        name = request.path_params["model_name"]
        await dataplane.check_version(name, None)
        payload = load_json(await request.body())
        answer, headers = await dataplane.infer(name, payload, dict(request.headers))
        return Response(orjson.dumps(answer), headers=headers, media_type="application/json")

    async def wrong_method(_: Request) -> Response:
        raise MethodNotAllowed("POST")

    async def no_explanations(_: Request) -> Response:
        raise NotFound("this model gives no explanations; use :predict")

    # Starlette's routes: FastAPI would look for parameters in each request
    routes.add_route("/v1/models/{model_name}:predict", predict, methods=["POST"])
    routes.add_route("/v1/models/{model_name}:predict", wrong_method, methods=["GET"], include_in_schema=False)
    routes.add_route("/v1/models/{model_name}:explain", no_explanations, methods=["POST"], include_in_schema=False)
    return routes
