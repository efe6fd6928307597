"""
Remove a revision's entries, and nothing else.
"""

import contextlib
import sys

from caching.redis import address, current_revision, walk
from local.supervisor import Failure
from transformer.redis_url import Client


def drop(redis: Client, model_name: str, revision: str, *, ask: bool, force: bool) -> None:
    """
    Count, ask, remove.

    Raises:
        Failure: an unknown revision, or one in use; nobody to ask, or a no.
    """
    if revision == current_revision(redis, model_name) and not force:
        raise Failure(f"{revision} is the revision that answers now; --force drops it, and all is computed again")
    count = sum(len(keys) for keys in walk(redis, model_name, revision, doing="counting"))
    if not count:
        raise Failure(
            f"no entries of revision {revision} of {model_name} in {address(redis)}; scripts/cache show lists what is"
        )
    if ask:
        _ask(f"Drop {count:,} entries of revision {revision} of {model_name} from {address(redis)}? [y/N] ")
    dropped = 0
    for keys in walk(redis, model_name, revision, doing="dropping"):
        # UNLINK gives the memory back in another thread
        dropped += redis.unlink(*(key for key, _ in keys)) if keys else 0
    print(f"dropped {dropped:,} entries of revision {revision}")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise Failure("nobody to ask, since the input is no terminal; --yes drops without asking")
    with contextlib.suppress(EOFError):
        if input(question).strip().lower() in {"y", "yes"}:
            return
    raise Failure("nothing dropped")
