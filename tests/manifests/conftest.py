"""
Each law holds for every form.
"""

import pytest

from .rendered import FORMS, Form


@pytest.fixture(params=FORMS, ids=str)
def form(request: pytest.FixtureRequest) -> Form:
    """
    Each form in turn.
    """
    form: Form = request.param
    return form
