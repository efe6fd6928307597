"""
The routes of the older FastAPI services, so that their clients move over by changing the host.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.body import load_json
from serving.dataplane import HonestDataPlane
from serving.errors import Unavailable
from transformer import contract
from transformer.model import SentimentTransformer

PREDICT = "/predict"
BULK_PREDICT = "/project/bulk-predict"
FASTAPI_PATHS = (PREDICT, BULK_PREDICT)


def router(model: SentimentTransformer, dataplane: HonestDataPlane) -> APIRouter:
    """
    `/predict`, `/project/bulk-predict`, `/health` and `/project/health`.
    """
    routes = APIRouter()

    async def answer(parse: Callable[..., contract.Question], request: Request) -> Response:
        question: Any = parse(load_json(await request.body()), max_texts=model.max_texts)
        body, headers = await dataplane.infer(model.name, question, dict(request.headers))
        return Response(orjson.dumps(body), headers=headers, media_type="application/json")

    # Starlette's routes: FastAPI would look for parameters in each request
    routes.add_route(PREDICT, partial(answer, contract.parse_predict), methods=["POST"])
    routes.add_route(BULK_PREDICT, partial(answer, contract.parse_bulk), methods=["POST"])

    @routes.api_route("/health", methods=["GET", "HEAD"])
    @routes.api_route("/project/health", methods=["GET", "HEAD"])
    async def health() -> dict[str, str]:
        """
        Whether this process can take requests; 503 while it cannot.
        """
        if not await dataplane.ready():
            raise Unavailable("not ready yet; try again shortly")
        return {"status": "healthy"}

    return routes
