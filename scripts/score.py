"""
Score a corpus: a label and a score for each label behind every row.

Beside them stand the model's revision, and whether the text was cut since it has more tokens than the model takes.

INPUT is CSV, TSV, JSON Lines or Parquet, told by the name's ending: files, folders, quoted patterns, or URLs such as
s3://bucket/folder, gs://… and abfss://…. OUTPUT is a folder, or such a URL: rows/ in the input's order, rejected/ with
the rows that could not be scored and why, manifest.json, report.html. A run that was interrupted or killed goes on
when the same command is given again: finished parts stay as they are, no row is lost or there twice.

The model and how it computes are the predictor's settings: MODEL_DIR, NUMERIC_MODE, COMPUTE_THREADS.

Exit status: 0 when all that can be scored is, 3 when that is none of the rows, 1 when something was in the way, which
is told in one line, 2 for a wrong option, 130 for Ctrl-C.
"""

import argparse
import sys

from local.supervisor import Failure

_NONE_SCORED = 3
_INTERRUPTED = 130
_PART_BYTES = 256 * 1024


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="what to score")
    parser.add_argument("output", metavar="OUTPUT", help="a folder for all that comes of it")
    parser.add_argument("--column", required=True, metavar="NAME", help="the column, or field, of the texts")
    parser.add_argument("--format", choices=["input", "parquet"], default="input", help="the output's (default: input)")
    parser.add_argument(
        "--part-bytes",
        type=_bytes,
        default=_PART_BYTES,
        metavar="N",
        help="input to score between two points that a killed run can go on from (default: %(default)s)",
    )
    parser.add_argument("--cache", metavar="URL", help="the service's Redis, to take answers from and give new ones to")
    parser.add_argument(
        "--model-name", default="sentiment", metavar="NAME", help="whose answers the cache has (default: %(default)s)"
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="score on a Ray cluster, `auto` for the one here, `local` for a new one"
    )
    return parser.parse_args()


def _bytes(argument: str) -> int:
    if not argument.isdecimal() or not 0 < int(argument) <= 2**23:
        raise argparse.ArgumentTypeError("must be a number of bytes, 1 to 8388608")
    return int(argument)


def main() -> int:
    """
    Run the command; return the exit status.
    """
    options = parse_options()
    try:
        from scoring.run import Options, run  # noqa: PLC0415  # --help needs no more than Python
        from serving import logs  # noqa: PLC0415

        logs.configure("auto", "warning")
        tally = run(Options(**vars(options)))
    except Failure as failure:
        print(f"scripts/score: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/score: interrupted; what is finished stays, and the same command goes on", file=sys.stderr)
        return _INTERRUPTED
    if tally.all_rows and not tally.rows:
        print("scripts/score: none of the rows could be scored; OUTPUT/rejected has the reasons", file=sys.stderr)
        return _NONE_SCORED
    return 0


if __name__ == "__main__":
    sys.exit(main())
