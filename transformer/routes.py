"""
The routes of the older FastAPI services, so that their clients move over by changing the host.
"""

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import APIRouter, Request
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

    async def answer(request: Request, parse: Callable[..., contract.Question]) -> Response:
        question: Any = parse(load_json(await request.body()), max_texts=model.max_texts)
        body, headers = await dataplane.infer(model.name, question, dict(request.headers))
        return Response(orjson.dumps(body), headers=headers, media_type="application/json")

    @routes.post(PREDICT, response_model=None)
    async def predict(request: Request) -> Response:
        """
        One text → its top label; a list of texts → every label of each.
        """
        return await answer(request, contract.parse_predict)

    @routes.post(BULK_PREDICT, response_model=None)
    async def bulk_predict(request: Request) -> Response:
        """
        A list of texts → every label of each.
        """
        return await answer(request, contract.parse_bulk)

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
