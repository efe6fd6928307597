"""
Administer the cache of answers: look into it, fill it, drop a revision.

Safe while the service runs: Redis is walked in steps of a quarter of a millisecond, and a file of texts is sent to the
service one small request at a time.
"""

import argparse
import os
import sys
from pathlib import Path

from local.supervisor import Failure

_INTERRUPTED = 130


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/cache", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = _command(commands, "show", "entries, bytes and time left by revision; Redis' memory and hit ratio")
    show.add_argument("--url", help="a transformer, to ask for its own hit ratio too")
    show.add_argument("--json", action="store_true", help="for programs")
    warm = _command(commands, "warm", "have the service answer, and so cache, every text of a file")
    warm.add_argument("file", type=Path, metavar="FILE", help="UTF-8, a text a line; blank lines are left out")
    named = "the texts' column in a table with a header (.csv, else tabs) or in objects, one a line (.jsonl)"
    warm.add_argument("--column", metavar="NAME", help=named)
    warm.add_argument("--url", default="http://localhost:8080", help="the transformer (default: %(default)s)")
    drop = _command(commands, "drop", "remove a revision's entries; copies in transformers' own memory live on")
    drop.add_argument("revision", metavar="REVISION", help="as `show` has it")
    drop.add_argument("--yes", action="store_true", help="do not ask")
    drop.add_argument("--force", action="store_true", help="even the revision that answers now")
    where = "redis-py's (default: REDIS_URL, else the Redis that scripts/serve runs)"
    for command in (show, drop):
        command.add_argument("--redis-url", metavar="URL", default=os.environ.get("REDIS_URL"), help=where)
    return parser.parse_args()


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.add_argument(
        "--model-name", "--model_name", default="sentiment", metavar="NAME", help="whose answers (default: %(default)s)"
    )
    return command


def run(options: argparse.Namespace) -> None:
    """
    Run the command.

    Raises:
        Failure: what was wrong, and what to do about it.
    """
    from caching.redis import connected  # noqa: PLC0415  # --help needs no more than Python

    if options.command == "warm":
        from caching.warm import warm  # noqa: PLC0415

        warm(options.file, options.column, options.url, options.model_name)
        return
    with connected(options.redis_url) as redis:
        if options.command == "show":
            from caching.show import show  # noqa: PLC0415

            show(redis, options.model_name, options.url, as_json=options.json)
        else:
            from caching.drop import drop  # noqa: PLC0415

            drop(redis, options.model_name, options.revision, ask=not options.yes, force=options.force)


def main() -> int:
    """
    Run the command; return the exit status.
    """
    try:
        run(parse_options())
    except Failure as failure:
        print(f"scripts/cache: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/cache: interrupted; what is done stays done", file=sys.stderr)
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
