"""
JSON from others, which may be anything.
"""

import orjson


def loads(content: bytes) -> object:
    """
    The JSON value, or None for what is no JSON.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
