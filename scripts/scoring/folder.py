"""
Everything that comes of a job, in one folder: what is finished is known by what lies there, whoever was killed when.

    rows/part-000000.csv         scored rows, in the input's order
    rejected/part-000000.jsonl   rows that could not be scored, with the reason
    computed/part-000000.bin     digests and scores of the texts that it was the first to have, for a run that goes on
    parts/part-000000.json       written last: the part is finished
    manifest.json                what is scored by what, and at the end the counts
    report.html                  the same as plots
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from local.supervisor import Failure
from scoring.job import Job, Part
from scoring.memory import KEY_BYTES, Scores
from scoring.places import Place
from scoring.tally import Tally

_OTHER = {
    "column": "another --column",
    "format": "another --format",
    "part_bytes": "another --part-bytes",
    "revision": "another model or NUMERIC_MODE",
    "inputs": "another INPUT, or one that has changed since",
}


class OutputFolder:
    """
    The folder of a job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self.place = job.output
        self.manifest = self.place / "manifest.json"
        self.report = self.place / "report.html"

    def claim(self) -> None:
        """
        See that the folder is free, or this job's, and remove what a killed run left.

        Raises:
            Failure: it is another's.
        """
        files = self.place.files()
        if self.manifest.size is not None:
            self._check()
        elif not all(file.unfinished for file in files):
            raise Failure(f"{self.place.path} has files that are not of scripts/score; name another OUTPUT")
        for file in files:
            if file.unfinished:
                file.remove()

    def begin(self) -> None:
        """
        Write whose it is, and that parts are missing.
        """
        _write_json(self.manifest, {"job": self._job.identity(), "finished": False})

    def keep(self, part: Part, keys: Sequence[bytes], scores: Scores) -> None:
        """
        Write what a part computes, before it is booked: for a run that goes on, see `Memory`.
        """
        computed = np.empty(len(keys), dtype=self._computed_type)
        computed["key"] = np.frombuffer(b"".join(keys), dtype="u1").reshape(-1, KEY_BYTES)
        computed["scores"] = scores
        (self.place / self._computed(part)).write(computed.tobytes())

    def computed(self, part: Part) -> tuple[list[bytes], Scores]:
        """
        What `keep` wrote of a finished part: N keys, and scores (N, L); nothing if it was removed or cut.
        """
        file, each = self.place / self._computed(part), self._computed_type
        whole = file.size is not None and file.size % each.itemsize == 0
        computed = np.frombuffer(file.read() if whole else b"", dtype=each)
        return [key.tobytes() for key in computed["key"]], computed["scores"]

    def book(self, part: Part, rows: bytes, rejected: bytes, tally: Tally) -> None:
        """
        Write what came of a part, and last that it is finished.
        """
        contents = {self._rows(part): rows} | ({self._rejected(part): rejected} if rejected else {})
        files = {}
        for name, content in contents.items():
            (self.place / name).write(content)
            files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _write_json(self._record(part), {"part": part._asdict(), "tally": tally.to_json(), "files": files})

    def finished(self, part: Part) -> Tally | None:
        """
        What came of a part; None if it is not finished.
        """
        record = self._record(part)
        if record.size is None:
            return None
        try:
            booked: dict[str, Any] = json.loads(record.read())
            tally, files = Tally.from_json(booked["tally"]), booked["files"]
            whole = all((self.place / name).size == file["bytes"] for name, file in files.items())
            is_finished = whole and tally.all_rows == part.rows
        except (ValueError, LookupError, TypeError, AttributeError):  # the machine lost its power, or another version's
            return None
        return tally if is_finished else None

    def finish(self, outcome: dict[str, Any]) -> None:
        """
        Write what came of all parts.
        """
        _write_json(self.manifest, {"job": self._job.identity(), "finished": True, **outcome})

    def _check(self) -> None:
        try:
            before = dict(json.loads(self.manifest.read())["job"])
        except (ValueError, LookupError, TypeError):
            raise Failure(f"{self.manifest.path} is not of scripts/score; name another OUTPUT") from None
        if other := [_OTHER[name] for name, value in self._job.identity().items() if before.get(name) != value]:
            raise Failure(f"{self.place.path} is of {other[0]}; name another OUTPUT, or remove that one")

    def _rows(self, part: Part) -> str:
        return f"rows/part-{part.number:06}.{self._job.output_suffix}"

    @property
    def _computed_type(self) -> "np.dtype[np.void]":
        return np.dtype([("key", "u1", KEY_BYTES), ("scores", "<f4", len(self._job.labels))])

    def _computed(self, part: Part) -> str:
        return f"computed/part-{part.number:06}.bin"

    def _rejected(self, part: Part) -> str:
        return f"rejected/part-{part.number:06}.jsonl"

    def _record(self, part: Part) -> Place:
        return self.place / f"parts/part-{part.number:06}.json"


def _write_json(place: Place, content: object) -> None:
    place.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
