import subprocess

import pytest

from processes import ROOT

COMMANDS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    """
    Every script says on `--help` what it is for, and does nothing else.
    """
    result = subprocess.run([ROOT / "scripts" / command, "--help"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(("usage:", "Usage:"))


@pytest.mark.parametrize("command", COMMANDS)
def test_listed(command: str) -> None:
    """
    Every script has its line in the scripts' README.
    """
    assert f"| `{command}` |" in (ROOT / "scripts" / "README.md").read_text()
