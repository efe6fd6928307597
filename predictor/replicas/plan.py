"""
How many replicas there are, and where.
"""

import importlib.util
import re
from dataclasses import dataclass

LOCAL = "local"
_FORM = re.compile(r"ray:(?P<count>[1-9][0-9]{0,2})(@(?P<address>auto|\S+:[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Replicas on Ray.

    Attributes:
        address: of a cluster, as Ray has it; `local` for one of this machine that lives as long as the predictor.
    """

    count: int
    address: str = LOCAL


def parse(setting: object) -> object:
    """
    The plan that `ray:<n>` or `ray:<n>@<address>` says; what is no text is left as it is.

    Raises:
        ValueError: it says none, or Ray is not installed.
    """
    if not isinstance(setting, str):
        return setting
    form = _FORM.fullmatch(setting)
    if form is None:
        raise ValueError("must be ray:<n> or ray:<n>@<address>, such as ray:2 or ray:4@ray://head:10001")
    if importlib.util.find_spec("ray") is None:
        raise ValueError("needs Ray, which is not installed: the extra `ray` brings it (scripts/install ray)")
    return Plan(int(form["count"]), form["address"] or LOCAL)
