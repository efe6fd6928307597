"""
The Open Inference Protocol by hand, over HTTP: what the clients' own libraries never send.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import yaml

from conformance import MODEL, OUTPUTS, SECRET, SHAPES, TEXTS, check_envelope, check_metadata, check_outputs, raw
from processes import ROOT, Service

INFER = f"/v2/models/{MODEL}/infer"
HEADER = "inference-header-content-length"
TENSOR: dict[str, Any] = {"name": "text", "shape": [2], "datatype": "BYTES"}
SCHEMA = ROOT.parent / "shared" / "oip" / "open_inference_rest.yaml"


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """
    A client of each service in turn.
    """
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


def ask(http: httpx.Client, tensor: dict[str, Any], *, tail: bytes | None = None, **fields: Any) -> httpx.Response:
    """
    Send one input, with bytes behind the JSON or without.
    """
    head = json.dumps({"inputs": [TENSOR | tensor], **fields}).encode()
    return http.post(INFER, content=head + (tail or b""), headers={} if tail is None else {HEADER: str(len(head))})


def arrays(answer: httpx.Response) -> dict[str, Any]:
    """
    An answer's outputs, in their order, from its JSON and from the bytes behind it.
    """
    length = int(answer.headers.get(HEADER, len(answer.content)))
    tail = answer.content[length:]
    outputs = {}
    for output in json.loads(answer.content[:length])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            items = output["data"]
        else:
            content, tail = tail[:size], tail[size:]
            items = np.frombuffer(content, "<f4") if output["datatype"] == "FP32" else _texts(content)
        dtype = np.float32 if output["datatype"] == "FP32" else np.object_
        outputs[output["name"]] = np.array(items, dtype).reshape(output["shape"])
    assert not tail
    return outputs


def _texts(content: bytes) -> list[bytes]:
    texts = []
    while content:
        end = 4 + int.from_bytes(content[:4], "little")
        texts.append(content[4:end])
        content = content[end:]
    return texts


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_json_data_is_flat_or_has_its_shape(http: httpx.Client, shape: list[int], *, nested: bool) -> None:
    """
    JSON data is understood flat, and in lists of its shape.
    """
    data = np.array(TEXTS, dtype=np.object_).reshape(shape).tolist() if nested else TEXTS
    check_outputs(arrays(ask(http, {"shape": shape, "data": data})))


@pytest.mark.parametrize("wanted", OUTPUTS)
@pytest.mark.parametrize("asked", [None, False, True])
@pytest.mark.parametrize("own", [None, False, True])
def test_outputs_are_binary_by_their_own_wish_or_the_requests(
    http: httpx.Client, wanted: list[str] | None, asked: bool | None, own: bool | None
) -> None:
    """
    Requested outputs come in their order, each in binary if it or else the request says so.
    """
    wish = {} if own is None else {"parameters": {"binary_data": own}}
    fields: dict[str, Any] = {"outputs": [{"name": name, **wish} for name in wanted]} if wanted else {}
    if asked is not None:
        fields["parameters"] = {"binary_data_output": asked}
    answer = ask(http, {"data": TEXTS}, **fields)
    check_outputs(arrays(answer), wanted)
    assert (HEADER in answer.headers) == (own if wanted and own is not None else bool(asked))


def test_answer_names_its_request_and_its_version(http: httpx.Client) -> None:
    """
    An answer has its request's id, or one made here, and names model and version; headers say the same and more.
    """
    for sent in ({"id": "7"}, {"id": ""}, {}):
        answer = ask(http, {"data": TEXTS}, **sent)
        body = answer.json()
        check_envelope(body["model_name"], body["model_version"], body["parameters"])
        assert body["id"] == (sent.get("id") or body["id"])
        assert body["id"]
        assert answer.headers["x-model-revision"] == body["model_version"]
        assert {"x-request-id", "server-timing"} <= set(answer.headers)


def test_versions(http: httpx.Client) -> None:
    """
    The version that a model lists answers, and no other is found.
    """
    server, model = http.get("/v2").json(), http.get(f"/v2/models/{MODEL}").json()
    (version,) = model["versions"]
    check_metadata(server, model, version)
    assert http.get("/v2/").json() == server
    for name, status in ((version, 200), ("other", 404)):
        path = f"/v2/models/{MODEL}/versions/{name}"
        answers = [http.get(path), http.get(f"{path}/ready")]
        answers.append(http.post(f"{path}/infer", json={"inputs": [TENSOR | {"data": TEXTS}]}))
        assert [answer.status_code for answer in answers] == [status] * 3
    assert http.get(f"/v2/models/{MODEL}/versions/{version}").json() == model


def test_no_texts(http: httpx.Client) -> None:
    """
    No texts get no answers, of shape [0, L] and [0], whatever the shape of nothing.
    """
    for shape in ([0], [0, 1], [1, 0]):
        outputs = ask(http, {"shape": shape, "data": []}).json()["outputs"]
        assert [(output["shape"], output["data"]) for output in outputs] == [([0, 2], []), ([0], [])]


WRONG = [
    {"inputs": []},
    {"inputs": [TENSOR | {"data": TEXTS}] * 2},
    {"inputs": [TENSOR | {"data": TEXTS}, TENSOR | {"name": SECRET, "data": [SECRET]}]},
    {"inputs": [TENSOR | {"name": SECRET, "data": TEXTS}]},
    {"inputs": [TENSOR]},
    *(
        {"inputs": [TENSOR | {"data": TEXTS} | wrong]}
        for wrong in (
            {"datatype": SECRET},
            {"datatype": "FP32"},
            {"datatype": None},
            {"shape": []},
            {"shape": [-2]},
            {"shape": [1]},
            {"shape": [3]},
            {"shape": [2, 2]},
            {"shape": [2, 1, 1]},
            {"shape": [2.5]},
            {"shape": [True]},
            {"shape": ["2"]},
            {"shape": [2**62, 4]},
            {"shape": [10**30]},
            {"shape": [-(10**30)]},
            {"shape": SECRET},
            {"data": SECRET},
            {"data": [SECRET, 1]},
            {"data": [SECRET, None]},
            {"data": [SECRET, [SECRET]]},
            {"data": [[[SECRET]], [[SECRET]]]},
            {"parameters": SECRET},
            {"parameters": {"binary_data_size": 9}},
        )
    ),
    {"inputs": [TENSOR | {"data": TEXTS}], "outputs": [{"name": SECRET}]},
    {"inputs": [TENSOR | {"data": TEXTS}], "outputs": [{"name": "label"}] * 2},
    {"inputs": [TENSOR | {"data": TEXTS}], "outputs": [SECRET]},
    {"inputs": [TENSOR | {"data": TEXTS}], "id": 7},
    {"inputs": [TENSOR | {"data": TEXTS}], "parameters": {"binary_data_output": SECRET}},
    {"inputs": [TENSOR | {"data": [SECRET, float("nan")]}]},
    {"inputs": [TENSOR | {"data": [SECRET, float("-inf")]}]},
    {"inputs": [TENSOR | {"data": [SECRET, "\ud800"]}]},
]


def test_wrong_json_is_400_with_a_reason(http: httpx.Client) -> None:
    """
    A wrong request is 400 with a reason that does not repeat it, and the next one is answered.
    """
    for body in WRONG:
        answer = http.post(INFER, content=json.dumps(body))
        assert (answer.status_code, answer.json()["error_type"]) == (400, "validation"), body
        assert SECRET not in answer.text
    check_outputs(arrays(ask(http, {"data": TEXTS})))


WHOLE = raw(TEXTS)


@pytest.mark.parametrize(
    ("size", "tail"),
    [
        (len(WHOLE) - 1, WHOLE),
        (len(WHOLE) + 1, WHOLE),
        (len(WHOLE), WHOLE + b"\x00"),
        (len(WHOLE), b""),
        (len(WHOLE) * 2, WHOLE * 2),
        (2**63, WHOLE),
        (10**30, WHOLE),
        (-1, WHOLE),
        (True, b"\x00"),
        (float(len(WHOLE)), WHOLE),
        (str(len(WHOLE)), WHOLE),
        (None, WHOLE),
        (4, b"\xff\xff\xff\xff"),
        (2 * len(raw([SECRET])), raw([SECRET.encode() + b"\xff"]) + raw([SECRET[1:]])),
        (2 * len(raw([SECRET])) + 2, raw([SECRET.encode() + b"\xed\xa0\x80"]) + raw([SECRET[1:]])),
    ],
)
def test_wrong_binary_is_400_with_a_reason(http: httpx.Client, size: Any, tail: bytes) -> None:
    """
    Bytes that are not exactly what the JSON before them promises are 400 with a reason, and the next is answered.
    """
    answer = ask(http, {"parameters": {"binary_data_size": size}}, tail=tail)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "validation")
    assert SECRET not in answer.text
    check_outputs(arrays(ask(http, {"parameters": {"binary_data_size": len(WHOLE)}}, tail=WHOLE)))


@pytest.mark.parametrize("length", ["", "-1", "1.5", "0", "3", "10000", "9" * 500, SECRET])
def test_wrong_length_of_the_json_is_400(http: httpx.Client, length: str) -> None:
    """
    A header that does not tell where the JSON ends is 400, and is not repeated.
    """
    head = json.dumps({"inputs": [TENSOR | {"data": TEXTS}]}).encode()
    answer = http.post(INFER, content=head, headers={HEADER: length})
    assert (answer.status_code, answer.json()["error_type"]) == (400, "validation")
    assert SECRET not in answer.text


def test_byte_order_mark_belongs_to_no_binary_body(http: httpx.Client) -> None:
    """
    A byte order mark before a binary body, which the header may count or not, never gives a wrong answer.
    """
    head = json.dumps({"inputs": [TENSOR | {"parameters": {"binary_data_size": len(WHOLE)}}]}).encode()
    counted, uncounted = (
        http.post(INFER, content=b"\xef\xbb\xbf" + head + WHOLE, headers={HEADER: str(len(head) + mark)})
        for mark in (3, 0)
    )
    assert counted.status_code == 400
    check_outputs(arrays(uncounted))


def check_schema(name: str, body: Any) -> None:
    """
    Hold a body to the protocol's official schema of that name.
    """
    if not SCHEMA.exists():
        pytest.skip("the official OpenAPI document lies beside the repository of those who develop it, not here")
    document = yaml.safe_load(SCHEMA.read_text())
    # OpenAPI 3.0's schemas are JSON Schema of about draft 4
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft4Validator(schema).validate(body)


@pytest.mark.parametrize(
    ("fields", "schema"),
    [
        ({}, "inference_response"),
        ({"id": "7"}, "inference_response"),
        ({"outputs": [{"name": "label"}]}, "inference_response"),
        ({"outputs": [{"name": "other"}]}, "inference_error_response"),
    ],
)
@pytest.mark.parametrize("texts", [TEXTS, []])
def test_inference_has_the_official_schema(
    http: httpx.Client, fields: dict[str, Any], schema: str, texts: list[str]
) -> None:
    """
    Answers and errors of inference are valid by the protocol's own OpenAPI document.
    """
    check_schema(schema, ask(http, {"shape": [len(texts)], "data": texts}, **fields).json())


def test_metadata_has_the_official_schema(http: httpx.Client) -> None:
    """
    Metadata, and errors in its place, are valid by the protocol's own OpenAPI document.
    """
    model = http.get(f"/v2/models/{MODEL}").json()
    check_schema("metadata_server_response", http.get("/v2/").json())
    check_schema("metadata_model_response", model)
    check_schema("metadata_model_response", http.get(f"/v2/models/{MODEL}/versions/{model['versions'][0]}").json())
    check_schema("metadata_model_error_response", http.get("/v2/models/other").json())
