"""
A run: what k6 and the processes were seen to do, as it is kept for later comparison.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from local.supervisor import Failure


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Moment(_Kept):
    """
    What k6 saw within a second or a few, all by the second.

    Attributes:
        seconds: since the start, at its end.
        failed: any status but 200, or none.
        dropped: never sent, since all of k6's clients still waited for answers.
        p50: latency in milliseconds, and so on; None where nothing was answered.
        hit_ratio: share of the texts that the cache knew.
    """

    seconds: float
    answered: float
    failed: float
    dropped: float
    p50: float | None
    p95: float | None
    p99: float | None
    hit_ratio: float | None


class Look(_Kept):
    """
    What the processes, by name, used meanwhile.

    Attributes:
        others: what the rest of the machine used.
    """

    seconds: float
    cores: dict[str, float]
    memory_mib: dict[str, float]
    others: float


class Run(_Kept):
    """
    All that is known of a run.

    Attributes:
        about: the scenario in words.
        url: of the service; None where it was started for the run, on the same machine.
        began: local time.
        asked: options that were given.
        metrics: k6's own summary, as it wrote it.
    """

    scenario: str
    about: str
    url: str | None
    texts: str
    asked: dict[str, str]
    began: str
    processor: str
    cores: int
    metrics: dict[str, dict[str, Any]]
    moments: list[Moment]
    looks: list[Look]


def load(path: Path, scenario: str) -> Run:
    """
    An earlier run of a scenario.

    Raises:
        Failure: that is not one.
    """
    try:
        run = Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Failure(f"--compare {path}: {error.strerror}; name the run.json of an earlier run") from None
    except ValidationError:
        raise Failure(f"--compare {path} is no run of ours; name the run.json of an earlier one") from None
    if run.scenario != scenario:
        raise Failure(f"--compare {path} is a run of {run.scenario}; compare {scenario} with an earlier run of its own")
    return run
