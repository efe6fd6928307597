"""
What a run applies, and the way back from it.
"""

from dataclasses import dataclass, field

from deployment.cluster import Cluster
from deployment.manifest import Object, asked_for, name_of


@dataclass
class Undone:
    """
    What became of the objects that a run had changed.

    Attributes:
        restored: they are again as they were.
        deleted: there were none, and they are being deleted.
        left: names of those that somebody has changed since, which stay as they are.
    """

    restored: list[Object] = field(default_factory=list)
    deleted: list[Object] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = ["rolled back: what was live before is live and ready again"] if self.restored else []
        if self.deleted and not self.restored:
            parts = ["rolled back: what was not there before is gone again"]
        if self.left:
            parts.append(f"not rolled back, since somebody has changed it meanwhile: {', '.join(self.left)}")
        return "; ".join(parts) or "nothing was changed"


class Journal:
    """
    Applies objects, and remembers what each replaced.

    What it takes back is what it has applied itself, as long as that is still there: a release of somebody else, which
    came since, is none of its business.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._steps: list[tuple[Object | None, Object]] = []

    def apply(self, thing: Object, *, force: bool) -> None:
        """
        Apply an object; what it replaces is read right before, since somebody may have changed it while we rendered.
        """
        before = self._cluster.read(thing)
        self._steps.append((before, self._cluster.apply(thing, force=force)))

    def undo(self) -> Undone:
        """
        Make live again what was live before, and delete what was not there, but for a namespace: others may use it.
        """
        undone = Undone()
        for before, after in reversed(self._steps):
            if before is None and after["kind"] == "Namespace":
                continue
            if before is not None and asked_for(before) == asked_for(after):
                continue
            live = self._cluster.read(after)
            if live is None or not _same(live, after):
                undone.left.append(name_of(after))
            elif before is None:
                self._cluster.delete(live)
                undone.deleted.append(live)
            else:
                self._cluster.apply(asked_for(before), force=True)
                undone.restored.append(before)
        return undone


def _same(live: Object, after: Object) -> bool:
    """
    Whether an object is the one that was applied, and asks for the same.

    Not by its generation or version: controllers write annotations and a status, and a Deployment's annotations count.
    """
    return live["metadata"]["uid"] == after["metadata"]["uid"] and _content(live) == _content(after)


def _content(thing: Object) -> Object:
    return {key: value for key, value in thing.items() if key not in {"metadata", "status"}}
