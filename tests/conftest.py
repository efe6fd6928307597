"""
Marks by path, and hypothesis's manner: unit, contract and integration are the folders' names.
"""

from pathlib import Path

import hypothesis
import pytest

_HERE = Path(__file__).parent

# A noisy machine is no failure: speed belongs to benchmarks.
hypothesis.settings.register_profile("laws", deadline=None)
hypothesis.settings.load_profile("laws")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark each test by the folder it lies in.
    """
    for item in items:
        item.add_marker(item.path.relative_to(_HERE).parts[0])
