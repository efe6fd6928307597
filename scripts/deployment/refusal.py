"""
A cluster's refusals in a person's words: what is wrong in one line, and the next step in another.
"""

import contextlib
import json
import re
from collections.abc import Iterator

from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from urllib3.exceptions import HTTPError, SSLError

from local.supervisor import Failure

# The first pattern that is found in "code reason message" decides. The message of the cluster follows what is said.
_REFUSALS = (
    (
        r"^401 ",
        "the cluster does not know you",
        "log in again (aws eks update-kubeconfig, az aks get-credentials), or name another --context",
    ),
    (r"being terminated", "the namespace is still being deleted", "wait until it is gone, then deploy again"),
    (r"exceeded quota", "the namespace's quota is used up", "ask for a larger one, or lower requests in the overlay"),
    (
        r"failed calling webhook",
        "a controller that must approve this does not answer",
        "see whether it runs: kubectl get pods -A | grep -E 'kserve|knative|cert-manager'",
    ),
    (r"denied the request", "a controller refuses it", "correct what it names in the overlay"),
    (
        r"^403 ",
        "you lack the right",
        "kubectl auth can-i --list shows your rights in a namespace; who administers the cluster can give you more",
    ),
    (
        r"^409 .*conflict",
        "another tool has set the same fields",
        "if this overlay is to have the last word, --force takes them over",
    ),
    # what does not fit the schema, an apply is told with 500
    (
        r"^(400|422) |failed to create typed patch",
        "the cluster takes it for invalid",
        "correct it in the overlay; nothing was changed by it",
    ),
    (r"^404 .*namespaces", "there is no such namespace", "deploy an overlay that brings it, as all of ours do"),
    (r"^(429|5\d\d) ", "the cluster's API server is in trouble", "try again in a minute"),
)
_KSERVE = "install KServe: scripts/cluster up on a laptop, else KServe's installation guide"
_PROMETHEUS = "install Prometheus' operator, or leave it out of the overlay, as manifests/components/local does"
_DEFINED_BY = {
    "InferenceService": _KSERVE,
    "Knative Service": "install Knative Serving, or take an overlay of Standard mode: manifests/README.md",
    "ServingRuntime": _KSERVE,
    "PodMonitor": _PROMETHEUS,
    "PrometheusRule": _PROMETHEUS,
    "HTTPRoute": "install the Gateway API's definitions, or leave the component older-paths away",
}


@contextlib.contextmanager
def in_words(doing: str, address: str) -> Iterator[None]:
    """
    Turn what the kubernetes client raises into a Failure.

    Args:
        doing: what was asked, such as `apply Service sentiment-redis`.
        address: of the cluster.
    """
    try:
        yield
    except ResourceNotFoundError:
        raise unknown_kind(doing) from None
    except ApiException as error:
        raise refused(doing, error) if error.status else unreachable(address, error.reason) from None
    except HTTPError as error:
        raise unreachable(address, getattr(error, "reason", None) or error) from None


def refused(doing: str, error: ApiException) -> Failure:
    """
    What an error's answer means.
    """
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        answer = json.loads(error.body or "")
        error.reason, message = answer.get("reason", error.reason), answer.get("message", "")
        for pattern, what, step in _REFUSALS:
            if re.search(pattern, f"{error.status} {error.reason} {message}", re.IGNORECASE):
                return failure(f"{doing}: {what}: {message}", step)
    return failure(f"{doing}: the cluster answers {error.status} {error.reason}", "read its API server's log")


def unknown_kind(doing: str) -> Failure:
    """
    The cluster has no such kind of object.
    """
    kind = " ".join(doing.split()[1:-1])
    step = _DEFINED_BY.get(kind, "install what defines it, or leave it out of the overlay")
    return failure(f"{doing}: the cluster has no {kind}, its definition is missing", step)


def unreachable(address: str, reason: object) -> Failure:
    """
    No answer.
    """
    if isinstance(reason, SSLError) or "certificate" in str(reason).lower():
        step = "its certificate is not the kubeconfig's: get a new kubeconfig, or name another --context"
        return failure(f"{address} is another cluster than the kubeconfig says: {_last(reason)}", step)
    step = "start it (scripts/cluster up on a laptop), connect to its network, or name another --context"
    return failure(f"no cluster answers at {address}: {_last(reason)}", step)


def failure(what: str, step: str) -> Failure:
    """
    One line, and the next step.
    """
    return Failure(f"{' '.join(what.split())}\n  next: {step}")


def _last(reason: object) -> str:
    return str(reason).rpartition(">: ")[2] or type(reason).__name__
