import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from .rendered import FORMS, ROOT, Form, Object
from .strict import SCHEMAS, faults

SHARED = ROOT.parent / "shared" / "crds"
KINDS = [
    "Deployment",
    "HTTPRoute",
    "InferenceService",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodMonitor",
    "PrometheusRule",
    "RayCluster",
    "RayJob",
    "Service",
    "ServiceAccount",
    "ServingRuntime",
]
# Maps whose keys are free, so that no schema can know a wrong one: the laws below do.
FREE = {"annotations", "labels", "matchLabels", "nodeSelector", "requests", "limits"}


@cache
def different_objects() -> dict[str, list[Object]]:
    """
    The objects of all forms, and of the job that scores a corpus, by kind, each once.
    """
    forms = (*FORMS, Form("score"))
    different = {json.dumps(thing, sort_keys=True): thing for form in forms for thing in form.objects}
    kinds: dict[str, list[Object]] = {}
    for thing in different.values():
        kinds.setdefault(thing["kind"], []).append(thing)
    return kinds


def test_valid(form: Form) -> None:
    """
    Every object of every form is valid at the oldest and the newest Kubernetes, and has no field that is none.
    """
    assert [fault for thing in form.objects for fault in faults(thing)] == []


def test_kinds() -> None:
    """
    The kinds below are all that are rendered.
    """
    assert sorted(different_objects()) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_typo(kind: str) -> None:
    """
    A misspelt field is found in every place of every kind of object.
    """
    things = different_objects()[kind]
    assert [place for thing in things for place, wrong in _misspelt(thing) if not faults(wrong)] == []


def _misspelt(thing: Object) -> Iterator[tuple[str, Object]]:
    """
    The object with one more field, in each place where fields have names.
    """
    for path in _places(thing):
        wrong = copy.deepcopy(thing)
        place = wrong
        for key in path:
            place = place[key]
        place["replicsa"] = 1
        yield ".".join(map(str, path)), wrong


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict) and not FREE.intersection(path):
        yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from _places(value, (*path, key))


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_type(kind: str) -> None:
    """
    A map where a number or a word belongs is found in every kind of object.
    """
    wrong = copy.deepcopy(different_objects()[kind][0])
    wrong["metadata"]["name"] = {}
    assert faults(wrong)


KNOWN_ANNOTATIONS = {
    "serving.kserve.io/deploymentMode",
    "serving.kserve.io/autoscalerClass",
    "autoscaling.knative.dev/scale-to-zero-pod-retention-period",
    "autoscaling.knative.dev/target",
    # of an alert
    "summary",
    "description",
    "runbook_url",
}
KNOWN_LABELS = {
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "kubernetes.io/metadata.name",
    "networking.knative.dev/visibility",
    "pod-security.kubernetes.io/enforce",
    # of an alert, or of a recorded series
    "severity",
    "slo",
}
KNOWN_KEYS = {
    "annotations": KNOWN_ANNOTATIONS,
    "labels": KNOWN_LABELS,
    "matchLabels": KNOWN_LABELS,
    "nodeSelector": {"feature.node.kubernetes.io/cpu-cpuid.AVX512BF16"},
    "requests": {"cpu", "memory"},
    "limits": {"cpu", "memory"},
}


def test_free_keys(form: Form) -> None:
    """
    No annotation, label or resource is misspelt: each is one that is known to mean something.
    """
    assert [(name, key) for name, keys in _free_maps(form.objects) for key in keys if key not in KNOWN_KEYS[name]] == []


def _free_maps(node: Any) -> Iterator[tuple[str, Object]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key in FREE and isinstance(value, dict):
            yield str(key), value
        else:
            yield from _free_maps(value)


@pytest.mark.skipif(not SHARED.exists(), reason="../shared, where the schemas were converted, is not on this machine")
@pytest.mark.parametrize("file", sorted(path.name for path in SCHEMAS.glob("*.json")))
def test_schema_is_the_original(file: str) -> None:
    """
    The schemas here are those that were converted from the projects' own definitions.
    """
    assert (SCHEMAS / file).read_text() == (SHARED / file).read_text()
