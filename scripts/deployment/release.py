"""
From objects to a service that answers, or back to what was live before.
"""

from rich.console import Console

from deployment import canary, secret, smoke
from deployment.cluster import Cluster
from deployment.difference import lines_of
from deployment.manifest import Object, asked_for, in_order, name_of, service_of
from deployment.rollout import Rollout
from local.supervisor import Failure

COLOURS = {"+": "green", "-": "red", "@": "cyan"}
ROLL_BACK_SECONDS = 300


class Release:
    """
    An overlay's objects beside what is live of them.

    Args:
        objects: in the order in which they are applied.
        percent: of the requests for a canary; None is no canary.
        force: take over fields that other tools have set.

    Raises:
        Failure: the cluster lacks a kind of object, or a Secret that only a person can make.
    """

    def __init__(
        self, cluster: Cluster, objects: list[Object], console: Console, *, percent: int | None, force: bool
    ) -> None:
        self._cluster, self._console, self._force = cluster, console, force
        self._live = {name_of(thing): cluster.read(thing) for thing in objects}
        if percent is not None:
            service = service_of(objects)
            changed = canary.with_canary(service, self._live[name_of(service)], percent)
            objects = [changed if thing is service else thing for thing in objects]
        self._objects = in_order([*objects, *secret.absent(cluster, objects)])
        self._changed: list[Object] = []

    def show(self) -> None:
        """
        Print what would change, as the cluster itself answers a trial.

        Raises:
            Failure: the cluster would refuse it.
        """
        # nothing can be tried in a namespace that is not there
        fresh = any(thing["kind"] == "Namespace" and not self._live[name_of(thing)] for thing in self._objects)
        for thing in self._objects:
            outcome = thing if fresh else self._cluster.apply(thing, force=self._force, dry_run=True)
            lines = lines_of(self._live.get(name_of(thing)), outcome)
            if lines:
                self._changed.append(thing)
            for line in lines:
                self._print(line, COLOURS.get(line[0], "none"))
        self._print(f"{len(self._changed)} of {len(self._objects)} objects change", "bold")

    def apply(self, seconds: float) -> None:
        """
        Apply, wait, ask; go back if any of it fails.

        Raises:
            Failure: why it failed; what was live before is live again.
        """
        rollout = Rollout(self._cluster, self._objects, self._console)
        try:
            for thing in self._objects:
                self._cluster.apply(thing, force=self._force)
            rollout.wait(seconds)
            smoke.ask(self._cluster, service_of(self._objects), self._console)
        except Failure as reason:
            rollout.explain()
            raise self._back(reason) from None

    def _back(self, reason: Failure) -> Failure:
        """
        Make what was live before live again, and say how that went.
        """
        self._print("rolling back", "bold")
        try:
            for thing in reversed(self._changed):
                self._restore(thing)
            if self._live[name_of(service_of(self._objects))] is None:
                return Failure(f"{reason}\n  rolled back: what was not there before is gone again")
            Rollout(self._cluster, self._before(), self._console).wait(ROLL_BACK_SECONDS)
        except Failure as second:
            return Failure(f"{reason}\n  the roll-back failed as well: {second}")
        return Failure(f"{reason}\n  rolled back: what was live before is live and ready again")

    def _restore(self, thing: Object) -> None:
        live = self._live.get(name_of(thing))
        if live is not None:
            self._cluster.apply(asked_for(live), force=True)
        elif thing["kind"] != "Namespace":  # it may hold what others made
            self._cluster.delete(thing)

    def _before(self) -> list[Object]:
        return [thing for thing in self._objects if self._live.get(name_of(thing)) is not None]

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def delete(cluster: Cluster, objects: list[Object], console: Console) -> None:
    """
    Delete an overlay's objects, but not the namespace and its Secrets, which a person may have made.
    """
    for thing in reversed(objects):
        if thing["kind"] not in {"Namespace", "Secret"} and cluster.delete(thing):
            console.print(f"deleted {name_of(thing)}", highlight=False)
    namespace = service_of(objects)["metadata"]["namespace"]
    console.print(f"the namespace and its Secrets stay: kubectl delete namespace {namespace} removes them too")


def shift(cluster: Cluster, objects: list[Object], console: Console, command: str, seconds: float) -> None:
    """
    Promote a canary, or go back to the revision before.

    Raises:
        Failure: there is nothing to promote or to go back to, or it does not come about.
    """
    service = service_of(objects)
    rollout = Rollout(cluster, [service], console)
    if command == "promote":
        canary.promote(cluster, service)
        rollout.wait(seconds)
    else:
        revision = canary.roll_back(cluster, service)
        rollout.wait_for_traffic(revision, seconds)
    smoke.ask(cluster, service, console)
