"""
Routes by the paths that clients ask for, of which there are endless ones.
"""

import re
from collections.abc import Iterable

UNKNOWN = "unknown"
_VARYING = re.compile(r"{\w+}")


class Routes:
    """
    The routes of a server, known before a request is admitted, so that a refused one has its route too.

    Args:
        templates: paths as an OpenAPI document has them: `/v1/models/{model_name}:predict`.
    """

    def __init__(self, templates: Iterable[str]) -> None:
        # what varies least comes first: `/v1/models/{model_name}` fits the example above as well
        self._templates = sorted(templates, key=lambda template: -len(_VARYING.sub("", template)))
        self._pattern = re.compile("|".join(f"({_pattern_of(template)})" for template in self._templates) or "(?!)")

    def name(self, path: str) -> str:
        """
        The template that a path fits, or `UNKNOWN`.
        """
        match = self._pattern.fullmatch(path)
        return self._templates[match.lastindex - 1] if match and match.lastindex else UNKNOWN


def _pattern_of(template: str) -> str:
    return "[^/]+".join(map(re.escape, _VARYING.split(template)))
