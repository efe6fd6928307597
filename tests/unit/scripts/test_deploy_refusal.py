import json
import ssl

import pytest
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, SSLError

from deployment.refusal import in_words
from local.supervisor import Failure

ADDRESS = "https://10.0.0.1:6443"


def refusal(error: Exception, doing: str = "apply Service s") -> tuple[str, str]:
    """
    The line, and the next step, that an error becomes.
    """
    with pytest.raises(Failure) as raised, in_words(doing, ADDRESS):
        raise error
    line, step = str(raised.value).splitlines()
    assert step.startswith("  next: ")
    return line, step


def answer(code: int, reason: str, message: str) -> ApiException:
    """
    An API server's answer.
    """
    error = ApiException(status=code, reason="HTTP's own")
    error.body = json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message})
    return error


FORBIDDEN = (
    'services "s" is forbidden: User "joe" cannot patch resource "services" in API group "" in the namespace "n"'
)
QUOTA = 'pods "p" is forbidden: exceeded quota: team, requested: cpu=2, used: cpu=7, limited: cpu=8'
ENDING = 'services "s" is forbidden: unable to create new content in namespace n because it is being terminated'
WEBHOOK = (
    'Internal error occurred: failed calling webhook "inferenceservice.kserve-webhook-server.defaulter": failed to '
    'call webhook: Post "https://kserve-webhook-server-service.kserve.svc:443/": no endpoints available'
)
DENIED = (
    'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: update rejected: '
    "deploymentMode cannot be changed from 'Knative' to 'Standard'"
)
UNTYPED = (
    "failed to create typed patch object (n/s; serving.kserve.io/v1beta1, Kind=InferenceService): "
    ".spec.predictor.maxReplica: field not declared in schema"
)
CONFLICT = (
    'Apply failed with 1 conflict: conflict with "kubectl" using serving.kserve.io/v1beta1: .spec.predictor.maxReplicas'
)


@pytest.mark.parametrize(
    ("code", "reason", "message", "words", "step"),
    [
        (401, "Unauthorized", "Unauthorized", "the cluster does not know you", "log in again"),
        (403, "Forbidden", FORBIDDEN, "you lack the right", "kubectl auth can-i"),
        (403, "Forbidden", QUOTA, "the namespace's quota is used up", "lower requests"),
        (403, "Forbidden", ENDING, "the namespace is still being deleted", "wait"),
        (403, "Forbidden", DENIED, "a controller refuses it", "correct"),
        (400, "BadRequest", DENIED, "a controller refuses it", "correct"),
        (500, "InternalError", WEBHOOK, "a controller that must approve this does not answer", "kubectl get pods"),
        (409, "Conflict", CONFLICT, "another tool has set the same fields", "--force"),
        (404, "NotFound", 'namespaces "n" not found', "there is no such namespace", "deploy an overlay"),
        (400, "BadRequest", 'strict decoding error: unknown field "spec.x"', "takes it for invalid", "correct it"),
        (500, "", UNTYPED, "takes it for invalid", "correct it"),
        (422, "Invalid", "Service s is invalid: spec.ports: Required", "takes it for invalid", "correct it"),
        (429, "TooManyRequests", "too many requests", "in trouble", "again in a minute"),
        (503, "ServiceUnavailable", "apiserver is shutting down", "in trouble", "again in a minute"),
    ],
)
def test_answers(code: int, reason: str, message: str, words: str, step: str) -> None:
    """
    Each refusal of the API server is one line with its own words at the end, and another with a step that fits it.
    """
    line, next_step = refusal(answer(code, reason, message))
    assert line.startswith("apply Service s: ")
    assert words in line
    assert line.endswith(message)
    assert step in next_step


@pytest.mark.parametrize("body", [None, "", "<html>Bad gateway</html>", "[]", "null"])
def test_answer_of_something_else(body: str | None) -> None:
    """
    An answer that is no API server's is told with its status.
    """
    error = ApiException(status=502, reason="Bad Gateway")
    error.body = body
    assert refusal(error)[0] == "apply Service s: the cluster answers 502 Bad Gateway"


@pytest.mark.parametrize("kind", ["InferenceService", "Knative Service", "PodMonitor", "Widget"])
def test_unknown_kind(kind: str) -> None:
    """
    A kind without a definition is named, with what brings it.
    """
    line, step = refusal(ResourceNotFoundError("No matches"), f"read {kind} x")
    assert line == f"read {kind} x: the cluster has no {kind}, its definition is missing"
    steps = {
        "InferenceService": "KServe",
        "Knative Service": "Knative",
        "PodMonitor": "operator",
        "Widget": "leave it out",
    }
    assert steps[kind] in step


def test_nobody_there() -> None:
    """
    A cluster that cannot be reached is named by its address, whatever layer noticed it.
    """
    reason = NewConnectionError(None, "Failed to establish a new connection: [Errno 111] Connection refused")  # type: ignore[arg-type]
    for error in (
        MaxRetryError(None, "/version", reason),  # type: ignore[arg-type]
        ProtocolError("Connection aborted."),
        ApiException(status=0, reason="Handshake failed"),
    ):
        line, step = refusal(error)
        assert line.startswith(f"no cluster answers at {ADDRESS}: ")
        assert "scripts/cluster up" in step


def test_another_cluster() -> None:
    """
    A certificate that is not the kubeconfig's is told apart from no cluster at all.
    """
    reason = SSLError(ssl.SSLCertVerificationError("certificate verify failed"))
    line, step = refusal(MaxRetryError(None, "/version", reason))  # type: ignore[arg-type]
    assert line.startswith(f"{ADDRESS} is another cluster than the kubeconfig says")
    assert "new kubeconfig" in step
