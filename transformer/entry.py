"""
One cached answer: its name and its bytes.

A value is the row's scores as little-endian float32 and 8 bytes that bind them to their key, so that a value of
another text, another revision or another writer is no answer but a miss (DESIGN law 2).
"""

import hashlib
import math
import re
import struct

Row = tuple[float, ...]

_SUM_TOLERANCE = 1e-3
_TAG_BYTES = 8
_DIGEST_BYTES = 16


def key_of(model_name: str, revision: str, text: str) -> str:
    """
    Name of a text's answer: model, revision and a 128-bit digest of both and the exact text.

    `{…}` is a cluster's hash tag.
    """
    # the lengths keep a model `a:b` apart from a model `a` whose revision begins with `b`
    exact = f"{len(model_name)}:{len(revision)}:{model_name}{revision}{text}"
    digest = hashlib.blake2b(exact.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"sentiment:{{{model_name}:{revision}}}:{digest}"


def pattern_of(model_name: str, revision: str | None = None) -> str:
    """
    A pattern for Redis' SCAN that finds the keys of a revision, or of every revision of the model.

    It may find more: `revision_of` tells a key of ours from another.
    """
    named = "*" if revision is None else _escape(revision)
    return f"sentiment:{{{_escape(model_name)}:{named}}}:{'?' * 2 * _DIGEST_BYTES}"


def revision_of(model_name: str, key: str) -> str | None:
    """
    The revision that a key of this model belongs to, or None for a key that `key_of` does not make.
    """
    form = rf"sentiment:\{{{re.escape(model_name)}:(.*)\}}:[0-9a-f]{{{2 * _DIGEST_BYTES}}}"
    match = re.fullmatch(form, key, re.DOTALL)
    return match[1] if match else None


def remembered_key(model_name: str) -> str:
    """
    Name of what is remembered of a model: the revision learnt last, as JSON.
    """
    return f"sentiment:{{{model_name}}}:revision"


def pack(key: str, row: Row) -> bytes:
    """
    The value of a row of L scores, 4 L + 8 bytes.
    """
    scores = struct.pack(f"<{len(row)}f", *row)
    return scores + _tag(key, scores)


def unpack(key: str, value: bytes | None, columns: int) -> Row | None:
    """
    The row of a value, or None when it is absent or not exactly what `pack` made for this key.

    Args:
        columns: L, the number of labels.
    """
    if value is None or len(value) != 4 * columns + _TAG_BYTES:
        return None
    scores, tag = value[:-_TAG_BYTES], value[-_TAG_BYTES:]
    if tag != _tag(key, scores):
        return None
    row = struct.unpack(f"<{columns}f", scores)
    return row if is_distribution(row) else None


def is_distribution(row: Row) -> bool:
    """
    Whether the scores are probabilities that sum to one; NaN and infinities are not.
    """
    return all(0.0 <= score <= 1.0 for score in row) and math.isclose(sum(row), 1.0, abs_tol=_SUM_TOLERANCE)


def _tag(key: str, scores: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + scores, digest_size=_TAG_BYTES).digest()


def _escape(name: str) -> str:
    return re.sub(r"[*?\[\]\\]", r"\\\g<0>", name)
