"""
Waiting for what was applied, with the cluster's events as they come, and the reason when it does not become ready.
"""

import re
import time
from collections.abc import Callable

from rich.console import Console

from deployment.canary import shares
from deployment.cluster import Cluster
from deployment.diagnosis import Finding, findings
from deployment.manifest import Object, name_of
from deployment.readiness import missing
from deployment.refusal import failure
from deployment.workload import lack_of, workloads
from local.supervisor import Failure

POLL_SECONDS = 2

PATIENCE_SECONDS = 60
"""How long a cause may last that waiting alone does not remove: a pull is tried again, a scheduler looks again."""

SETTLE_SECONDS = 6
"""How long it must stay ready: KServe may not have seen a change yet that shows in no container, such as of scaling."""

LOG_LINES = 8
ALL = 100
PART_OF = "app.kubernetes.io/part-of=sentiment"


class Rollout:
    """
    The way of objects from applied to ready. Made before they are applied: it tells of events that come after.

    Args:
        service: the InferenceService, applied or not.
    """

    def __init__(self, cluster: Cluster, service: Object, console: Console) -> None:
        self._cluster, self._service, self._console = cluster, service, console
        self._namespace = service["metadata"]["namespace"]
        self._known = {_moment(event) for event in self._list("Event")}
        self._told: set[str] = set()
        self._events: list[Object] = []
        self._suspected: dict[str, float] = {}

    def wait(self, objects: list[Object], seconds: float) -> None:
        """
        Return once these objects are ready, and what KServe makes of them runs what they ask for; and it stays so.

        Raises:
            Failure: it does not become so.
        """
        self._wait(lambda: self._lacking(objects), seconds)

    def wait_for_traffic(self, revision: str, seconds: float) -> None:
        """
        Return once a revision has all requests, whatever becomes of the others.

        Raises:
            Failure: it does not get them.
        """

        def lacking() -> str:
            share = shares(self._cluster.read(self._service) or {}).get(revision, 0)
            return "" if share == ALL else f"{revision} has {share} % of the requests"

        self._wait(lacking, seconds)

    def explain(self) -> None:
        """
        Show the causes, and the last lines of the logs that may tell more.
        """
        pods = {f"Pod {pod['metadata']['name']}": pod for pod in self._pods()}
        for cause in self._causes():
            self._say(str(cause), "red")
            if cause.container and cause.about in pods:
                for line in self._cluster.log(pods[cause.about], cause.container, LOG_LINES):
                    self._say(f"    {line}", "dim")

    def _wait(self, lacking: Callable[[], str], seconds: float) -> None:
        start = time.monotonic()
        settled = None
        with self._console.status("waiting") as status:
            while True:
                now, lack = time.monotonic(), self._attempt(lacking)
                self._tell(now - start)
                if not lack:
                    settled = settled or now
                    if now - settled >= SETTLE_SECONDS:
                        return
                else:
                    settled = None
                    self._give_up(lack, now - start, seconds)
                status.update(f"{now - start:3.0f} s  {lack or 'ready, and seeing that it stays so'}")
                time.sleep(POLL_SECONDS)

    def _lacking(self, objects: list[Object]) -> str:
        for thing in objects:
            live = self._cluster.read(thing)
            if lack := missing(live) if live else "not there":
                return f"{name_of(thing)}: {lack}"
        for made, containers in workloads(objects):
            if lack := lack_of(self._cluster.read(made), containers):
                return f"{name_of(made)}: {lack}"
        return ""

    def _attempt(self, lacking: Callable[[], str]) -> str:
        try:
            return lacking()
        except Failure as hiccup:  # a minute without an API server is no reason to give a rollout up
            return str(hiccup).splitlines()[0]

    def _give_up(self, lack: str, waited: float, seconds: float) -> None:
        """
        Raise, if there is nothing left to wait for.
        """
        causes = self._causes()
        self._suspected = {one.about: self._suspected.get(one.about, waited) for one in causes if one.final}
        for cause in causes:
            if waited - self._suspected.get(cause.about, waited) >= PATIENCE_SECONDS or waited >= seconds:
                raise failure(f"not ready after {waited:.0f} s: {cause.about}: {cause.what}", cause.step)
        if waited >= seconds:
            raise failure(f"not ready after {waited:.0f} s: {lack}", "--timeout gives it more time")

    def _causes(self) -> list[Finding]:
        try:
            service = self._cluster.read(self._service)
        except Failure:
            service = None
        return findings(service, self._pods(), self._events)

    def _tell(self, waited: float) -> None:
        news = [event for event in self._list("Event") if _moment(event) not in self._known]
        for event in sorted(news, key=_time):
            self._known.add(_moment(event))
            self._events.append(event)
            about = f"{event['involvedObject']['kind']} {event['involvedObject']['name']}"
            says = f"{about}  {event['reason']}: {' '.join(event.get('message', '').split())}"
            # an event that comes again has the names of other pods in it
            if (gist := re.split(r"\d", says.removeprefix(about))[0] + about) not in self._told:
                self._told.add(gist)
                self._say(f"{waited:4.0f} s  {says}", "yellow" if event["type"] == "Warning" else "dim")

    def _pods(self) -> list[Object]:
        return self._list("Pod", PART_OF)

    def _list(self, kind: str, selector: str | None = None) -> list[Object]:
        try:
            return self._cluster.items(kind, self._namespace, selector)
        except Failure:  # who may deploy need not have the right to see events
            return []

    def _say(self, line: str, style: str) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _moment(event: Object) -> tuple[str, int]:
    return event["metadata"]["uid"], event.get("count") or 1


def _time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
