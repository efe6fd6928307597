"""
What an apply would change, as a person reads it.
"""

import difflib

import yaml

from deployment.manifest import Object, asked_for, name_of


def lines_of(live: Object | None, wanted: Object) -> list[str]:
    """
    The difference between the live object and what an apply makes of it, as a unified diff of YAML; none if it is none.

    Args:
        live: None if there is none: then the object is named, and not shown whole.
        wanted: what the cluster says would come out, its defaults included.
    """
    if live is None:
        return [f"+ {name_of(wanted)}"]
    return list(difflib.unified_diff(_yaml(live), _yaml(wanted), "live", name_of(wanted), n=2, lineterm=""))


def _yaml(thing: Object) -> list[str]:
    shown = asked_for(thing)
    for secret in ("data", "stringData"):
        if thing["kind"] == "Secret" and secret in shown:
            shown[secret] = dict.fromkeys(shown[secret], "(secret)")
    return yaml.safe_dump(shown, sort_keys=True, width=1000).splitlines()
