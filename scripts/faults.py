"""
Play faults on the real stack under load of mixed hits and misses, and say of each whether the service survived it.

Redis, predictor and transformer are processes, which are killed, hung, restarted, slowed down, filled and lied to.

Every answer is compared with the right one, which the predictor gave beforehand, asked alone. The full form takes
about half an hour and wants an idle machine. The short form is for CI, whose machines are noisy: each row takes a few
seconds, the waits that the settings allow are longer, and only correctness counts (no wrong answer, no status that
should not be); what is measured in time or memory is shown with a ~ where it is over its limit.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from local.supervisor import Failure

_INTERRUPTED = 130


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to play, as --list has them (default: all)")
    parser.add_argument("--list", action="store_true", help="the rows, and nothing else")
    parser.add_argument("--short", action="store_true", help="the form for CI: under two minutes on two cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="a file for the verdicts")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="a folder for the processes' logs, a line a request")
    return parser.parse_args()


def run(options: argparse.Namespace) -> bool:
    """
    Play what was asked for, or list it.

    Returns:
        whether every row held.

    Raises:
        Failure: there is no such row, or the stack does not start.
    """
    from fault import play, verdict  # noqa: PLC0415  # --help needs no more than Python
    from fault.form import FULL, SHORT  # noqa: PLC0415
    from fault.rows import ROWS  # noqa: PLC0415

    if options.list:
        for row in ROWS.values():
            print(f"{row.name:<24}{row.fault}")
        return True
    if unknown := [name for name in options.names if name not in ROWS]:
        raise Failure(f"no row is called {unknown[0]}; see --list")
    form = SHORT if options.short else FULL
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
    rows = [ROWS[name] for name in options.names or ROWS]
    with tempfile.TemporaryDirectory(prefix="sentiment-faults-") as folder:
        verdicts = play.run(rows, form, Path(folder), options.logs)
    for each in verdicts:
        print("\n".join(each.lines()))
    if options.json:
        verdict.write(options.json, form.name, verdicts)
    return all(each.held for each in verdicts)


def main() -> int:
    """
    Run the command; return the exit status: 1 if a row failed.
    """
    try:
        return 0 if run(parse_options()) else 1
    except Failure as failure:
        print(f"scripts/faults: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("scripts/faults: interrupted; everything is stopped", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
