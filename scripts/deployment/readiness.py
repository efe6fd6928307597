"""
Whether a live object has become what it was asked to be.
"""

from deployment.manifest import KNATIVE, Object

COMPONENTS = ("predictor", "transformer")
_SERVICE_CONDITIONS = ("PredictorReady", "TransformerReady", "LatestDeploymentReady", "RoutesReady", "Ready")


def missing(live: Object) -> str:
    """
    What an object still lacks, in a few words; empty if nothing, and for kinds that have nothing to become.
    """
    if live["kind"] == "InferenceService":
        return _of_service(live)
    if live["kind"] == "Deployment":
        return _of_deployment(live)
    if live["kind"] == "Service" and live["apiVersion"].startswith(KNATIVE):
        return _of_knative(live)
    return ""


def _of_service(live: Object) -> str:
    """
    KServe's Ready does not wait for a transformer, nor for the newest revision while an older one answers.
    """
    status = live.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    needed = {"Ready", *(f"{component.capitalize()}Ready" for component in COMPONENTS if component in live["spec"])}
    for name in _SERVICE_CONDITIONS:
        if name in conditions or name in needed:
            condition = conditions.get(name, {})
            if condition.get("status") != "True":
                reason = condition.get("reason")
                return f"{name} is {condition.get('status', 'not said yet')}" + (f" ({reason})" if reason else "")
    for component, state in status.get("components", {}).items():
        if state.get("latestCreatedRevision") != state.get("latestReadyRevision"):
            return f"{component}: {state.get('latestCreatedRevision')} is not ready"
    return ""


def _of_deployment(live: Object) -> str:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if _unseen(live):
        return "not seen yet"
    updated = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    if updated < wanted:
        return f"{updated} of {wanted} pods"
    return "pods of before are still there" if status.get("replicas", 0) > wanted else ""


def _of_knative(live: Object) -> str:
    """
    Ready is of the routes as well: true once the newest revision has the share that it should have.
    """
    status = live.get("status", {})
    if _unseen(live):
        return "not seen yet"
    newest = status.get("latestCreatedRevisionName")
    if not newest or newest != status.get("latestReadyRevisionName"):
        return f"{newest or 'its revision'} is not ready"
    ready = {each["type"]: each["status"] for each in status.get("conditions", [])}.get("Ready", "not said yet")
    return "" if ready == "True" else f"Ready is {ready}"


def _unseen(live: Object) -> bool:
    return bool(live.get("status", {}).get("observedGeneration", 0) < live["metadata"]["generation"])
