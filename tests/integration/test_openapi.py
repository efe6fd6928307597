import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

import predictor.openapi
import transformer.openapi
from processes import Service

Json = dict[str, Any]
DOCUMENTS = {
    "predictor_service": predictor.openapi.build("sentiment"),
    "transformer_service": transformer.openapi.build("sentiment"),
}
CONFIG = Path(__file__).with_name("schemathesis.toml")


@dataclass(frozen=True)
class Example:
    """
    A request that a document shows, and the answers that it describes.
    """

    service: str
    method: str
    path: str
    name: str
    body: object
    responses: Json


def examples() -> Iterator[Example]:
    """
    Every operation of both documents, with each body that it shows.
    """
    for service, document in DOCUMENTS.items():
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                for name, example in content.get("examples", {"": {"value": None}}).items():
                    yield Example(service, method, path, name, example["value"], operation["responses"])


def check_answer(document: Json, described: Json, answer: httpx.Response) -> None:
    """
    Hold an answer to its description: headers, media type, body.
    """
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    assert [
        name for name, header in described["headers"].items() if header["required"] and name not in answer.headers
    ] == []
    if not described["content"]:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = described["content"][media_type]["schema"]
    if media_type == "application/json":
        Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())


@pytest.fixture(params=DOCUMENTS)
def service(request: pytest.FixtureRequest) -> Service:
    """
    Each of the services.
    """
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_served(request: pytest.FixtureRequest, name: str) -> None:
    """
    `/openapi.json` is the service's document.
    """
    url = request.getfixturevalue(name).url
    assert httpx.get(f"{url}/openapi.json").json() == DOCUMENTS[name]


@pytest.mark.parametrize(
    "example", [pytest.param(each, id=f"{each.service}-{each.method} {each.path} {each.name}") for each in examples()]
)
def test_example_is_answered_as_documented(request: pytest.FixtureRequest, example: Example) -> None:
    """
    Each example of the document succeeds, or is refused by a closed route, with the described headers and body.
    """
    with httpx.Client(base_url=request.getfixturevalue(example.service).url, timeout=60) as client:
        [version] = client.get("/v2/models/sentiment").json()["versions"]
        url = example.path.format(model_name="sentiment", model_version=version)
        answer = client.request(example.method, url, content=json.dumps(example.body) if example.body else None)
    documented = example.responses.keys()
    assert {str(answer.status_code)} == ({"200"} & documented or {"403", "404"} & documented)
    check_answer(DOCUMENTS[example.service], example.responses[str(answer.status_code)], answer)


def test_generated_requests_are_answered_as_documented(service: Service, tmp_path: Path) -> None:
    """
    No request that schemathesis makes of the document gets a 5xx, or an answer that the document does not describe.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color"]
    run = [*command, "run", f"{service.url}/openapi.json", "--max-examples", "20"]
    result = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_page_needs_no_other_host(service: Service) -> None:
    """
    All that `/docs` loads comes from the service itself, and a browser is told to ask nobody else.
    """
    page = httpx.get(f"{service.url}/docs")
    assert set(page.headers["content-security-policy"].split()) == {"default-src", "'self'", "data:", "'unsafe-inline'"}
    named = re.findall(r"""(?:src|href)="([^"]*)"|url: '([^']*)'""", page.text)
    addresses = [first or second for first, second in named]
    assert addresses == ["docs/swagger-ui.css", "data:,", "docs/swagger-ui-bundle.js", "openapi.json"]
    style, script, _ = (httpx.get(f"{service.url}/{path}").raise_for_status() for path in addresses if path != "data:,")
    assert all(address.startswith("data:") for address in re.findall(r"""url\(["']?([^"')]*)""", style.text))
    assert "SwaggerUIBundle" in script.text
