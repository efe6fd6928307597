import copy
import io
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.console import Console

from deployment import removal
from deployment.journal import Journal
from local.supervisor import Failure

if TYPE_CHECKING:
    from deployment.cluster import Cluster

Object = dict[str, Any]


class Store:
    """
    A cluster that keeps objects by name, gives each a uid, and deletes those that no finalizer holds.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self._uid = 0

    def read(self, thing: Object) -> Object | None:
        return copy.deepcopy(self.objects.get(thing["metadata"]["name"]))

    def apply(self, thing: Object, *, force: bool = False) -> Object:
        name = thing["metadata"]["name"]
        live = self.objects.get(name)
        self._uid += live is None
        uid = live["metadata"]["uid"] if live else str(self._uid)
        self.objects[name] = {**copy.deepcopy(thing), "metadata": {**thing["metadata"], "uid": uid}}
        return copy.deepcopy(self.objects[name])

    def delete(self, thing: Object) -> bool:
        name = thing["metadata"]["name"]
        if self.objects.get(name, thing)["metadata"].get("finalizers"):
            return True
        return self.objects.pop(name, None) is not None


def thing(name: str, spec: Object, kind: str = "InferenceService", **metadata: Any) -> Object:
    """
    An object.
    """
    return {"kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


@pytest.fixture
def store() -> Store:
    """
    A cluster with one object, `old`.
    """
    store = Store()
    store.apply(thing("old", {"image": "1"}))
    return store


@pytest.fixture
def journal(store: Store) -> Journal:
    """
    Has changed `old`, made `new`, and a namespace.
    """
    journal = Journal(cast("Cluster", store))
    for each in (thing("home", {}, "Namespace"), thing("old", {"image": "2"}), thing("new", {"image": "2"})):
        journal.apply(each, force=False)
    return journal


def test_back(store: Store, journal: Journal) -> None:
    """
    What was changed is as before, what was made is gone, and a namespace stays.
    """
    undone = journal.undo()
    assert store.objects["old"]["spec"] == {"image": "1"}
    assert sorted(store.objects) == ["home", "old"]
    assert [each["metadata"]["name"] for each in undone.deleted] == ["new"]
    assert str(undone) == "rolled back: what was live before is live and ready again"


def test_only_what_was_applied(store: Store) -> None:
    """
    An object that this run did not get to, or did not change, is not touched.
    """
    journal = Journal(cast("Cluster", store))
    journal.apply(thing("old", {"image": "1"}), force=False)
    store.apply(thing("old", {"image": "3"}))
    assert str(journal.undo()) == "nothing was changed"
    assert store.objects["old"]["spec"] == {"image": "3"}


def test_newer_release_stays(store: Store, journal: Journal) -> None:
    """
    An object that somebody has changed since stays as it is, and is named.
    """
    store.apply(thing("old", {"image": "3"}))
    store.apply(thing("new", {"image": "3"}))
    undone = journal.undo()
    assert {name: each["spec"].get("image") for name, each in store.objects.items()} == {
        "home": None,
        "old": "3",
        "new": "3",
    }
    assert undone.left == ["InferenceService new", "InferenceService old"]
    assert str(undone).startswith("not rolled back, since somebody has changed it meanwhile")


def test_another_of_the_same_name_stays(store: Store, journal: Journal) -> None:
    """
    An object that was deleted and made again since, however equal, is another's.
    """
    del store.objects["new"]
    store.apply(thing("new", {"image": "2"}))
    assert journal.undo().left == ["InferenceService new"]
    assert "new" in store.objects


def test_controllers_do_not_count(store: Store, journal: Journal) -> None:
    """
    A status, an annotation and a version are not somebody's change.
    """
    live = store.objects["old"]
    live["metadata"] |= {"annotations": {"deployment.kubernetes.io/revision": "2"}, "generation": 7}
    live["status"] = {"observedGeneration": 7}
    assert journal.undo().left == []
    assert store.objects["old"]["spec"] == {"image": "1"}


def test_made_by_somebody_in_between(store: Store) -> None:
    """
    What somebody made after the difference was shown, and before we applied ours, is restored and never deleted.
    """
    journal = Journal(cast("Cluster", store))
    store.apply(thing("new", {"image": "theirs"}))
    journal.apply(thing("new", {"image": "2"}), force=False)
    journal.undo()
    assert store.objects["new"]["spec"] == {"image": "theirs"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """
    The time, which passes by sleeping alone.
    """
    now = [0.0]
    monkeypatch.setattr(removal.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(removal.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def removed(store: Store, seconds: float) -> str:
    """
    Have everything deleted; what is told of it.
    """
    told = io.StringIO()
    objects = [
        thing("home", {}, "Namespace"),
        thing("password", {}, "Secret"),
        thing("old", {}, namespace="home"),
        thing("other", {}, "Service"),
    ]
    removal.delete(cast("Cluster", store), objects, Console(file=told, width=300), seconds)
    return told.getvalue()


def test_deletion(store: Store, clock: list[float]) -> None:
    """
    What is deleted is told once it is gone; the namespace and its Secrets stay.
    """
    for each in (thing("home", {}, "Namespace"), thing("password", {}, "Secret")):
        store.apply(each)
    told = removed(store, 60)
    assert sorted(store.objects) == ["home", "password"]
    assert [line for line in told.splitlines() if line.startswith("deleted")] == ["deleted InferenceService old"]
    assert clock[0] == 0


def test_deletion_that_hangs(store: Store, clock: list[float]) -> None:
    """
    A deletion that a finalizer holds up ends with its time, with the finalizer's name and what to look after.
    """
    store.objects["old"]["metadata"]["finalizers"] = ["inferenceservice.finalizers"]
    with pytest.raises(
        Failure, match=r"InferenceService old is still there after 60 s.*inferenceservice\.finalizers\n"
    ):
        removed(store, 60)
    assert clock[0] == 60
