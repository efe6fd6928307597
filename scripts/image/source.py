"""
What is built: the version that pyproject.toml says, and the commit that git says.
"""

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def version() -> str:
    """
    The project's version, which the manifests name.
    """
    project: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["version"]


def revision() -> str:
    """
    The commit, `-dirty` behind it if files differ from it; empty where this is no checkout.
    """
    return _git("describe", "--match=", "--always", "--dirty", "--abbrev=40")


def description() -> str:
    """
    The commit by the nearest tag, as it is said in short; empty where this is no checkout.
    """
    return _git("describe", "--tags", "--always", "--dirty")


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()
