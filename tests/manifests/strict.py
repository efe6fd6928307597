"""
Strict validation: a field that the schema does not name is refused.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, schema_contents
from referencing import Registry, Resource

from . import kuberay

SCHEMAS = Path(__file__).with_name("schemas")
# The oldest that KServe 0.21 supports, and the newest there is.
KUBERNETES = ("1.32", all_versions()[-1])


def faults(thing: dict[str, Any]) -> list[str]:
    """
    What is wrong with an object, at any of the versions of Kubernetes; empty if nothing is.
    """
    return [
        f"{thing['kind']} {'.'.join(map(str, error.absolute_path))}: {error.message}"
        for validator in _validators(thing["apiVersion"], thing["kind"])
        for error in validator.iter_errors(thing)
    ]


@cache
def _validators(api_version: str, kind: str) -> list[Draft202012Validator]:
    group, _, version = api_version.rpartition("/")
    if group == "ray.io":
        return [Draft202012Validator(kuberay.SCHEMAS[kind], registry=_definitions(_full(v))) for v in KUBERNETES]
    custom = SCHEMAS / f"{group}_{version}_{kind}.json"
    if custom.exists():
        return [Draft202012Validator(json.loads(custom.read_text()))]
    return [_native(f"{kind.lower()}-{group.partition('.')[0]}-{version}".replace("--", "-"), v) for v in KUBERNETES]


def _native(name: str, kubernetes: str) -> Draft202012Validator:
    full = _full(kubernetes)
    schema = _contents(name, full)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(full))


def _full(kubernetes: str) -> str:
    [full] = {version for version in all_versions() if f"{version}.".startswith(f"{kubernetes}.")}
    return full


@cache
def _definitions(full: str) -> "Registry[Any]":
    return Resource.from_contents(_contents("_definitions", full)) @ Registry()


def _contents(name: str, full: str) -> dict[str, Any]:
    contents: dict[str, Any] = schema_contents(f"kubernetes-json-schema/v{full}-local-strict/{name}.json", full)
    return contents
