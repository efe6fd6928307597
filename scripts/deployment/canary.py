"""
A share of the requests for a new predictor: KServe's canaryTrafficPercent, which Knative alone splits by.
"""

import copy

from deployment.cluster import Cluster
from deployment.manifest import MODE, Object, asked_for
from deployment.refusal import failure

FIELD = "canaryTrafficPercent"


def with_canary(service: Object, live: Object | None, percent: int) -> Object:
    """
    The service with its next revision as a canary.

    Raises:
        Failure: not Knative, or nothing live that could keep the rest of the requests.
    """
    needs_knative(service)
    if live is None:
        raise failure("--canary: nothing is live that would take the other requests", "deploy without it first")
    service = copy.deepcopy(service)
    service["spec"]["predictor"][FIELD] = percent
    return service


def promote(cluster: Cluster, service: Object) -> Object:
    """
    Give the newest revision all requests.

    A JSON patch: it takes the field from whoever set it, kubectl included.

    Returns:
        the service as it is then.

    Raises:
        Failure: there is no canary.
    """
    live = _live(cluster, service)
    if FIELD not in live["spec"]["predictor"]:
        raise failure("there is no canary: all requests go to the newest revision", "scripts/deploy status shows it")
    return cluster.patch(service, [{"op": "remove", "path": f"/spec/predictor/{FIELD}"}])


def roll_back(cluster: Cluster, service: Object) -> str:
    """
    Have all requests given to the revision that had them before the newest one.

    It is applied with all that is live, so that the field is ours: the next deployment, which does not name it, takes
    it away. A patch would leave it there, and every later revision without requests.

    Returns:
        that revision.

    Raises:
        Failure: there was none before.
    """
    live = _live(cluster, service)
    revision = former(live)
    if not revision:
        raise failure("no revision was rolled out before this one", "deploy what you want instead")
    changed = asked_for(live)
    changed["spec"]["predictor"][FIELD] = 0
    cluster.apply(changed, force=True)
    return revision


def former(live: Object) -> str:
    """
    The revision that KServe goes back to: the one before a canary, or before the newest; empty if there is none.
    """
    state = live.get("status", {}).get("components", {}).get("predictor", {})
    rolled_out = state.get("latestRolledoutRevision", "")
    newest_has_all = rolled_out == state.get("latestCreatedRevision")
    return str(state.get("previousRolledoutRevision", "") if newest_has_all else rolled_out)


def shares(live: Object) -> dict[str, int]:
    """
    The share of requests of each revision of the predictor, in percent.
    """
    traffic = live.get("status", {}).get("components", {}).get("predictor", {}).get("traffic", [])
    found: dict[str, int] = {}
    for target in traffic:
        found[target["revisionName"]] = found.get(target["revisionName"], 0) + target.get("percent", 0)
    return found


def needs_knative(service: Object) -> None:
    """
    See that the service can have two revisions at once.

    Raises:
        Failure: it is in another mode.
    """
    if service["metadata"].get("annotations", {}).get(MODE) != "Knative":
        raise failure(
            "a canary, and going back to a revision, needs Knative", "in Standard mode deploy the former tag again"
        )


def _live(cluster: Cluster, service: Object) -> Object:
    needs_knative(service)
    live = cluster.read(service)
    if live is None:
        raise failure(f"InferenceService {service['metadata']['name']} is not there", "scripts/deploy OVERLAY makes it")
    return live
