import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.console import Console

from deployment import rollout, secret
from deployment.manifest import render
from deployment.rollout import PATIENCE_SECONDS, SETTLE_SECONDS, Rollout
from local.supervisor import Failure

if TYPE_CHECKING:
    from deployment.cluster import Cluster

Object = dict[str, Any]
READY = [{"type": name, "status": "True"} for name in ("PredictorReady", "TransformerReady", "Ready")]
SERVICE = {
    "kind": "InferenceService",
    "metadata": {"name": "sentiment", "namespace": "sentiment"},
    "spec": {"predictor": {}, "transformer": {}},
}


class FakeCluster:
    """
    What a cluster answers at a time, in seconds since the start.
    """

    def __init__(
        self,
        clock: list[float],
        ready: Callable[[float], bool],
        events: Callable[[float], list[Object]] = lambda _: [],
        pods: Callable[[float], list[Object]] = lambda _: [],
    ) -> None:
        self._clock, self._ready = clock, ready
        self._items = {"Event": events, "Pod": pods}

    def read(self, _: Object) -> Object:
        return {**SERVICE, "status": {"conditions": READY if self._ready(self._clock[0]) else []}}

    def items(self, kind: str, *_: object) -> list[Object]:
        return self._items[kind](self._clock[0])

    def log(self, *_: object) -> list[str]:
        return ["its last line"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """
    The time, which passes by sleeping alone.
    """
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(rollout.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(rollout.time, "sleep", sleep)
    return now


def rolling(cluster: FakeCluster) -> tuple[Rollout, io.StringIO]:
    """
    A rollout, and what it tells.
    """
    told = io.StringIO()
    return Rollout(cast("Cluster", cluster), SERVICE, Console(file=told, width=300)), told


def stuck(reason: str = "ImagePullBackOff") -> Object:
    """
    A pod that cannot start.
    """
    status = {"name": "kserve-container", "image": "i", "ready": False, "state": {"waiting": {"reason": reason}}}
    return {"metadata": {"name": "p", "namespace": "sentiment"}, "status": {"containerStatuses": [status]}}


def event(uid: str, message: str, reason: str = "FailedCreate", time: str = "2026-11-21T18:00:00Z") -> Object:
    """
    An event of a ReplicaSet.
    """
    metadata = {"uid": uid, "creationTimestamp": time}
    about = {"kind": "ReplicaSet", "name": "r-1"}
    return {"metadata": metadata, "involvedObject": about, "type": "Warning", "reason": reason, "message": message}


def test_ready_means_that_it_stays_so(clock: list[float]) -> None:
    """
    A service that was ready before is not taken for ready while it can still be the word of before.
    """
    rolling(FakeCluster(clock, lambda now: now < SETTLE_SECONDS / 2 or now >= 60))[0].wait([SERVICE], 600)
    assert clock[0] >= 60 + SETTLE_SECONDS


def test_cause_that_lasts(clock: list[float]) -> None:
    """
    A cause that waiting does not remove ends the wait long before its time, with the cause and the next step.
    """
    way, told = rolling(FakeCluster(clock, lambda _: False, pods=lambda _: [stuck()]))
    with pytest.raises(Failure, match=r"not ready after 60 s: Pod p: the image cannot be pulled.*\n  next: push it"):
        way.wait([SERVICE], 600)
    way.explain()
    assert "the image cannot be pulled" in told.getvalue()


def test_cause_that_goes(clock: list[float]) -> None:
    """
    A cause that goes away in time, again and again, ends no wait.
    """
    pods = [[stuck()], []]
    cluster = FakeCluster(clock, lambda now: now >= 300, pods=lambda now: pods[int(now // (PATIENCE_SECONDS / 2)) % 2])
    rolling(cluster)[0].wait([SERVICE], 600)


def test_time_is_over(clock: list[float]) -> None:
    """
    A wait ends with its time, and says what is missing if nothing is known of the cause.
    """
    way, _ = rolling(FakeCluster(clock, lambda _: False))
    with pytest.raises(
        Failure, match="not ready after 30 s: InferenceService sentiment: PredictorReady is not said yet"
    ):
        way.wait([SERVICE], 30)


def test_api_server_that_is_away(clock: list[float]) -> None:
    """
    An API server that does not answer for a while ends no wait.
    """

    def ready(now: float) -> bool:
        if now < 100:
            raise Failure("no cluster answers")
        return True

    rolling(FakeCluster(clock, ready))[0].wait([SERVICE], 600)


def test_events(clock: list[float]) -> None:
    """
    Events are told as they come, in their order and each once, and none that is of before or that only repeats itself.
    """
    first = event("2", 'pods "r-1-abc" is forbidden', time="2026-11-21T18:00:02Z")
    second = event("1", "Created pod: r-1-xyz", reason="SuccessfulCreate", time="2026-11-21T18:00:09Z")
    again = event("3", 'pods "r-1-def" is forbidden', time="2026-11-21T18:00:03Z")

    def events(now: float) -> list[Object]:
        return [event("0", "of before", reason="Old"), *([second, first, again] if now > 0 else [])]

    way, told = rolling(FakeCluster(clock, lambda _: True, events=events))
    way.wait([SERVICE], 60)
    lines = [line.partition(" s  ")[2] for line in told.getvalue().splitlines() if "ReplicaSet" in line]
    assert lines == [
        'ReplicaSet r-1  FailedCreate: pods "r-1-abc" is forbidden',
        "ReplicaSet r-1  SuccessfulCreate: Created pod: r-1-xyz",
    ]


class Secrets:
    """
    A cluster with these Secrets; None is one that does not show them.
    """

    def __init__(self, names: set[str] | None) -> None:
        self._names = names

    def read(self, thing: Object) -> Object | None:
        if self._names is None:
            raise Failure("you lack the right")
        return thing if thing["metadata"]["name"] in self._names else None


def test_password_is_made_once() -> None:
    """
    The Secret of our own Redis is made if it is not there, never the same; one that is there, or hidden, is left alone.
    """
    objects = render("kind")
    [made], [other] = (secret.absent(cast("Cluster", Secrets(set())), objects) for _ in range(2))
    assert made["metadata"] == {"name": "sentiment-redis", "namespace": "sentiment"}
    assert made["stringData"]["url"] == f"redis://:{made['stringData']['password']}@sentiment-redis:6379/0"
    assert len(made["stringData"]["password"]) >= 32
    assert made != other
    for cluster in (Secrets({"sentiment-redis"}), Secrets(None)):
        assert secret.absent(cast("Cluster", cluster), objects) == []


def test_secret_of_another_redis() -> None:
    """
    A Secret that only a person can make is asked for with the command that makes it, before anything is applied.
    """
    objects = [thing for thing in render("kind") if thing["kind"] != "Deployment"]
    with pytest.raises(
        Failure, match=r"no Secret sentiment-redis, which holds url\n.*create secret generic sentiment-redis"
    ):
        secret.absent(cast("Cluster", Secrets(set())), objects)
