"""
The scenarios: k6's scripts in loadtest/.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

from local.supervisor import Failure

ROOT = Path(__file__).resolve().parents[2]
_FOLDER = ROOT / "loadtest"


@dataclass(frozen=True)
class Scenario:
    """
    A script.
    """

    name: str
    script: Path

    @property
    def about(self) -> str:
        """
        What the script says of itself in the comment at its head.
        """
        lines = self.script.read_text().splitlines()
        head = itertools.takewhile(lambda line: line.startswith("//"), lines)
        return " ".join(line.removeprefix("//").strip() for line in head)

    @property
    def takes_rate(self) -> bool:
        """
        Whether its clients come at a rate that may be chosen.
        """
        return "rate(" in self.script.read_text()


def scenarios() -> dict[str, Scenario]:
    """
    All of them, by name.
    """
    return {script.stem: Scenario(script.stem, script) for script in sorted(_FOLDER.glob("*.js"))}


def find(name: str) -> Scenario:
    """
    One of them.

    Raises:
        Failure: there is none of that name.
    """
    known = scenarios()
    if name not in known:
        raise Failure(f"no scenario is called '{name}'; there are: {', '.join(known)}")
    return known[name]
