"""
From objects to a service that answers, or back to what was live before.
"""

from rich.console import Console

from deployment import canary, secret, smoke
from deployment.cluster import Cluster
from deployment.difference import lines_of
from deployment.journal import Journal
from deployment.manifest import Object, in_order, name_of, service_of
from deployment.removal import see_gone
from deployment.rollout import Rollout
from deployment.workload import workloads
from local.supervisor import Failure

COLOURS = {"+": "green", "-": "red", "@": "cyan"}
ROLL_BACK_SECONDS = 300


class Release:
    """
    An overlay's objects beside what is live of them.

    Args:
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
        # who may not see what KServe makes, or lacks Knative, is told before anything changes
        for made, _ in workloads(objects):
            cluster.read(made)
        if percent is not None:
            service = service_of(objects)
            changed = canary.with_canary(service, self._live[name_of(service)], percent)
            objects = [changed if thing is service else thing for thing in objects]
        self._objects = in_order([*objects, *secret.absent(cluster, objects)])

    def show(self) -> None:
        """
        Print what would change, as the cluster itself answers a trial.

        Raises:
            Failure: the cluster would refuse it.
        """
        # nothing can be tried in a namespace that is not there
        fresh = any(thing["kind"] == "Namespace" and not self._live[name_of(thing)] for thing in self._objects)
        changed = 0
        for thing in self._objects:
            outcome = thing if fresh else self._cluster.apply(thing, force=self._force, dry_run=True)
            lines = lines_of(self._live.get(name_of(thing)), outcome)
            changed += bool(lines)
            for line in lines:
                self._print(line, COLOURS.get(line[0], "none"))
        self._print(f"{changed} of {len(self._objects)} objects change", "bold")

    def apply(self, seconds: float) -> None:
        """
        Apply, wait, ask; go back if any of it fails.

        Raises:
            Failure: why it failed; what was live before is live again.
        """
        service = service_of(self._objects)
        rollout, journal = Rollout(self._cluster, service, self._console), Journal(self._cluster)
        try:
            for thing in self._objects:
                journal.apply(thing, force=self._force)
            rollout.wait(self._objects, seconds)
            smoke.ask(self._cluster, service, self._console)
        except Failure as reason:
            rollout.explain()
            raise Failure(f"{reason}\n  {self._back(journal)}") from None

    def _back(self, journal: Journal) -> str:
        """
        Undo what was applied, and say how that went.
        """
        self._print("rolling back", "bold")
        try:
            undone = journal.undo()
            see_gone(self._cluster, undone.deleted, self._console, ROLL_BACK_SECONDS)
            if undone.restored:
                rollout = Rollout(self._cluster, service_of(self._objects), self._console)
                rollout.wait(undone.restored, ROLL_BACK_SECONDS)
        except Failure as second:
            return f"the roll-back failed as well: {second}"
        return str(undone)

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def shift(cluster: Cluster, objects: list[Object], console: Console, command: str, seconds: float) -> None:
    """
    Promote a canary, or go back to the revision before.

    Raises:
        Failure: there is nothing to promote or to go back to, or it does not come about.
    """
    service = service_of(objects)
    rollout = Rollout(cluster, service, console)
    if command == "promote":
        rollout.wait([canary.promote(cluster, service)], seconds)
    else:
        revision = canary.roll_back(cluster, service)
        rollout.wait_for_traffic(revision, seconds)
    smoke.ask(cluster, service, console)
