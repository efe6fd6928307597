"""
An OpenAPI 3.1 document, out of a table of operations.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from serving import errors
from serving.errors import ServiceError
from serving.openapi import refusals
from serving.openapi.refusals import Json

JSON = "application/json"
_ANYWHERE = (errors.MethodNotAllowed, errors.HeadTooLarge, errors.InternalError)
_WITH_BODY = (errors.InvalidRequest, errors.SlowRequest, errors.TooLarge, errors.Overloaded)


@dataclass(frozen=True, slots=True)
class Operation:
    """
    A method of a route. Types of bodies stand by their media type.

    Attributes:
        name: its one name in the document, for the programs that are generated from it.
        tag: the heading it stands under.
        parameters: what it reads from the request's headers; what its path has is found there.
        takes: types of its body; none where it reads none.
        examples: JSON bodies that it answers, by what they show.
        succeeds: whether it ever does; a closed route does not.
        answers: types of its answer; none where that has no body.
        headers: those of its answer, beside `x-request-id`.
        links: what its answer leads to.
        errors: what it may answer instead, beside what every route and every POST may.
        fastapi_style: errors are those that FastAPI's clients know.
    """

    path: str
    name: str
    summary: str
    _: KW_ONLY
    tag: str
    method: str = "get"
    parameters: Sequence[Json] = ()
    takes: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)
    succeeds: bool = True
    answers: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Json] = field(default_factory=dict)
    links: Mapping[str, Json] = field(default_factory=dict)
    errors: Sequence[type[ServiceError]] = ()
    fastapi_style: bool = False


def request_header(name: str, description: str, **schema: Any) -> Json:
    """
    A header that a request may have.
    """
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **schema}}


def build(*, title: str, description: str, model_name: str, operations: Sequence[Operation]) -> Json:
    """
    The document of a server.

    Args:
        model_name: the model that the server has, as the example of the paths.
    """
    schemas, definitions = _schemas(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        described = _described(operation, schemas)
        described["parameters"] = [*_path_parameters(operation.path, model_name), *operation.parameters]
        paths.setdefault(operation.path, {})[operation.method] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": "1"},
        "paths": paths,
        "components": {"schemas": definitions, "responses": refusals.components()},
    }


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        # it would say the field's name again
        return False


def _schemas(operations: Sequence[Operation]) -> tuple[dict[Any, Json], Json]:
    types = [kind for item in operations for kind in (*item.takes.values(), *item.answers.values())]
    distinct = dict.fromkeys([*types, refusals.Error, refusals.DetailedError])
    schemas, definitions = TypeAdapter.json_schemas(
        [(kind, "validation", TypeAdapter(kind)) for kind in distinct],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    return {kind: schema for (kind, _), schema in schemas.items()}, definitions["$defs"]


def _described(operation: Operation, schemas: Mapping[Any, Json]) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(operation, schemas),
    }
    if operation.takes:
        content = _content(operation.takes, schemas)
        if operation.examples:
            content[JSON]["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _responses(operation: Operation, schemas: Mapping[Any, Json]) -> Json:
    kinds = [*operation.errors, *_ANYWHERE, *(_WITH_BODY if operation.method == "post" else ())]
    responses = refusals.references(kinds, fastapi_style=operation.fastapi_style)
    if operation.succeeds:
        responses["200"] = {
            "description": "OK",
            "headers": {**refusals.REQUEST_ID, **operation.headers},
            "content": _content(operation.answers, schemas),
            **({"links": operation.links} if operation.links else {}),
        }
    return dict(sorted(responses.items()))


def _content(types: Mapping[str, Any], schemas: Mapping[Any, Json]) -> Json:
    return {media_type: {"schema": schemas[kind]} for media_type, kind in types.items()}


def _path_parameters(path: str, model_name: str) -> list[Json]:
    known = {
        "model_name": {"description": "As `GET /v2/models` lists it", "example": model_name},
        "model_version": {"description": "A revision, as `GET /v2/models/<m>` lists it or an answer names it"},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **known[name]}
        for name in re.findall(r"{(\w+)}", path)
    ]
