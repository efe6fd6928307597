from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fastapi import APIRouter, FastAPI
from jsonschema import Draft202012Validator
from kserve.model_repository import ModelRepository
from starlette.routing import Route

import predictor.openapi
import transformer.openapi
from serving import errors, oip
from serving.admission import Admission
from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.drain import Drain
from serving.observer import Observer
from serving.openapi import refusals
from serving.rest import RestServer
from serving.settings import ServingSettings
from transformer import routes

Json = dict[str, Any]
PREDICTOR = predictor.openapi.build("sentiment")
TRANSFORMER = transformer.openapi.build("sentiment")
ERRORS = [
    errors.InvalidRequest(""),
    errors.Forbidden(""),
    errors.NotFound(""),
    errors.MethodNotAllowed("GET"),
    errors.SlowRequest(1),
    errors.TooLarge(""),
    errors.HeadTooLarge(""),
    errors.RateLimited("", retry_after_seconds=1),
    errors.Overloaded(""),
    errors.InternalError(""),
    errors.UpstreamFault(""),
    errors.Unavailable(""),
    errors.UpstreamTimeout(""),
]


def older_routes(dataplane: HonestDataPlane) -> APIRouter:
    """
    The transformer's own routes, to be looked at and not asked.
    """
    model: Any = None
    return routes.router(model, dataplane)


def operations(document: Json) -> dict[tuple[str, str], Json]:
    """
    The operations of a document, by path and method.
    """
    return {(path, name): each for path, methods in document["paths"].items() for name, each in methods.items()}


def examples(node: object) -> Iterator[tuple[Json, object]]:
    """
    Every example below a part of a document, with its schema.
    """
    match node:
        case {"schema": {**schema}, "examples": {**named}}:
            yield from ((schema, example["value"]) for example in named.values())
        case {"schema": {**schema}, "example": example}:
            yield schema, example
        case {"examples": [*unnamed]}:
            yield from ((dict(node), example) for example in unnamed)
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from examples(child)


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")  # FastAPI names GET and HEAD alike, and nobody reads it
@pytest.mark.parametrize(("document", "routers"), [(PREDICTOR, []), (TRANSFORMER, [older_routes])])
def test_document_has_the_routes_of_the_application(document: Json, routers: list[Any], observer: Observer) -> None:
    """
    The document has every route of the application that is not hidden, and no other.
    """
    app = FastAPI(docs_url=None, redoc_url=None)
    dataplane = HonestDataPlane(ModelRepository(), Drain())
    rest = RestServer(
        ServingSettings(),
        dataplane,
        ClosedRepository(dataplane.model_registry),
        Admission(max_requests=1, max_body_bytes=1),
        observer,
        document=document,
        routers=[oip.router(dataplane), *[make(dataplane) for make in routers]],
        fastapi_paths=(),
        drain=Drain(),
    )
    rest._register_endpoints(app)
    of_starlette = {
        (route.path, method.lower())
        for router in rest._routers
        for route in router.routes
        if type(route) is Route and route.include_in_schema
        for method in route.methods or ()
    }
    of_itself = {("/openapi.json", "get"), ("/openapi.json", "head")}
    assert operations(document).keys() == operations(FastAPI.openapi(app)).keys() | of_starlette | of_itself


@pytest.mark.parametrize("document", [PREDICTOR, TRANSFORMER])
def test_names_are_unique(document: Json) -> None:
    """
    No two operations share a name.
    """
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("document", [PREDICTOR, TRANSFORMER])
def test_examples_fit_their_schemas(document: Json) -> None:
    """
    Each schema is one, and each example in it or beside it fits it.
    """
    shown = list(examples(document))
    assert shown
    for schema, example in shown:
        Draft202012Validator.check_schema(schema)
        Draft202012Validator({**schema, "components": document["components"]}).validate(example)


def test_every_error_is_described() -> None:
    """
    No error of `serving.errors` is missing below, but for those that the predictor gave.
    """
    types = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ServiceError)}
    assert types - {errors.ServiceError, errors.UpstreamRefusal} == {type(error) for error in ERRORS}


@pytest.mark.parametrize("fastapi_style", [False, True])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_look_as_described(error: errors.ServiceError, fastapi_style: bool) -> None:
    """
    Each error has the status, the headers and the body of its description, in either style.
    """
    is_early = isinstance(error, errors.HeadTooLarge)  # before anything of the style is known
    answer = errors.response(error, fastapi_style=fastapi_style and not is_early)
    [(status, reference)] = refusals.references([type(error)], fastapi_style=fastapi_style).items()
    described = TRANSFORMER["components"]["responses"][reference["$ref"].rpartition("/")[2]]
    assert str(answer.status_code) == status
    assert described["headers"].keys() - {"x-request-id"} <= set(answer.headers)  # which the layer above adds
    schema = described["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": TRANSFORMER["components"]}).validate(orjson.loads(answer.body))
