from typing import Any

import pytest

from deployment.readiness import missing

Object = dict[str, Any]


def service(conditions: dict[str, str], *parts: str, **predictor: str) -> Object:
    """
    A live InferenceService of these parts.
    """
    listed = [{"type": name, "status": status, "reason": "Because"} for name, status in conditions.items()]
    status = {"conditions": listed, "components": {"predictor": predictor}}
    return {"kind": "InferenceService", "spec": {part: {} for part in parts}, "status": status}


READY = {"PredictorReady": "True", "TransformerReady": "True", "Ready": "True", "Stopped": "False"}
BOTH = ("predictor", "transformer")


def test_ready() -> None:
    """
    A service is ready when it and its parts say so, and its newest revision is.
    """
    assert missing(service(READY, *BOTH, latestCreatedRevision="r-2", latestReadyRevision="r-2")) == ""


@pytest.mark.parametrize("part", ["PredictorReady", "TransformerReady", "Ready"])
@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_part_that_is_not(part: str, status: str) -> None:
    """
    A part that is not ready, or says nothing yet, is what is missing, though KServe's Ready may not wait for it.
    """
    assert missing(service({**READY, part: status}, *BOTH)) == f"{part} is {status} (Because)"
    assert missing(service({name: "True" for name in READY if name != part}, *BOTH)) == f"{part} is not said yet"


@pytest.mark.parametrize("condition", ["LatestDeploymentReady", "RoutesReady"])
def test_knative_conditions(condition: str) -> None:
    """
    What Knative alone reports counts where it is reported.
    """
    assert missing(service({**READY, condition: "False"}, *BOTH)) == f"{condition} is False (Because)"


def test_older_revision_answers() -> None:
    """
    A service that answers with an older revision, while the newest is not ready, is not what was asked for.
    """
    old = service(READY, *BOTH, latestCreatedRevision="r-2", latestReadyRevision="r-1")
    assert missing(old) == "predictor: r-2 is not ready"


def test_nothing_yet() -> None:
    """
    A service that no controller has seen is not ready, nor is a Deployment.
    """
    assert missing({"kind": "InferenceService", "spec": {"predictor": {}}})
    assert missing({"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 1}})


def test_one_pod_for_both() -> None:
    """
    A service without a transformer of its own waits for none.
    """
    assert missing(service({"PredictorReady": "True", "Ready": "True"}, "predictor")) == ""


@pytest.mark.parametrize(
    ("status", "lack"),
    [
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, ""),
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, "not seen yet"),
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
            "pods of before are still there",
        ),
        ({"observedGeneration": 2, "replicas": 1, "availableReplicas": 1}, "0 of 1 pods"),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, "0 of 1 pods"),
    ],
)
def test_deployment(status: Object, lack: str) -> None:
    """
    A Deployment is ready once its newest pods are there, and no others.
    """
    live = {"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert missing(live) == lack


NEWEST = {"latestCreatedRevisionName": "r-2", "latestReadyRevisionName": "r-2"}


@pytest.mark.parametrize(
    ("status", "lack"),
    [
        ({"observedGeneration": 2, **NEWEST, "conditions": [{"type": "Ready", "status": "True"}]}, ""),
        ({"observedGeneration": 1, **NEWEST, "conditions": [{"type": "Ready", "status": "True"}]}, "not seen yet"),
        ({"observedGeneration": 2, **NEWEST, "latestReadyRevisionName": "r-1"}, "r-2 is not ready"),
        ({"observedGeneration": 2}, "its revision is not ready"),
        (
            {"observedGeneration": 2, **NEWEST, "conditions": [{"type": "Ready", "status": "Unknown"}]},
            "Ready is Unknown",
        ),
        ({"observedGeneration": 2, **NEWEST}, "Ready is not said yet"),
    ],
)
def test_knative_service(status: Object, lack: str) -> None:
    """
    A Service of Knative's is ready once its newest revision is, and the routes to it.
    """
    live = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"generation": 2}, "status": status}
    assert missing(live) == lack
