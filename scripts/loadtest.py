"""
Load the service with k6 the way a scenario of loadtest/ says, and write a report.

Without --url it starts the service itself, on this machine: a real Redis, the predictor with the embedded model, the
transformer; k6 then shares the processor with them. The report is a page of HTML that loads nothing (report.html), a
picture of it (report.png) and all figures (run.json), by which a later run is compared with this one.

The exit status is 0 where the run held every threshold of its scenario, 1 where it broke one, 2 where it could not be
made.
"""

import argparse
import re
import signal
import sys
from datetime import datetime
from pathlib import Path

from loadtesting.scenario import ROOT, find, scenarios
from local.supervisor import Failure

_INTERRUPTED = 130
_DURATION = re.compile(r"([0-9]+[hms])+")


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/loadtest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", metavar="SCENARIO", help=f"{', '.join(scenarios())}; see loadtest/README.md")
    parser.add_argument("--url", help="a transformer that runs already (default: start one)")
    parser.add_argument(
        "--duration", type=_duration, help="like 30s or 5m (default: the scenario's; stress: of a step)"
    )
    parser.add_argument(
        "--rate", type=_rate, metavar="N", help="requests/s where clients come at a rate; stress: at first"
    )
    texts = "UTF-8, a text a line, the most popular first (default: SST-2 where it lies beside, else generated ones)"
    parser.add_argument("--texts", type=Path, metavar="FILE", help=texts)
    parser.add_argument("--column", metavar="NAME", help="the texts' column, where FILE is .csv, .tsv or .jsonl")
    parser.add_argument("--compare", type=Path, metavar="EARLIER.json", help="the run.json of an earlier run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for the report (default: reports/loadtest/…)")
    return parser.parse_args()


def _duration(argument: str) -> str:
    if not _DURATION.fullmatch(argument):
        raise argparse.ArgumentTypeError("must be like 30s, 5m or 1h30m")
    return argument


def _rate(argument: str) -> int:
    if not argument.isdecimal() or not int(argument):
        raise argparse.ArgumentTypeError("must be a whole number of requests/s, 1 or more")
    return int(argument)


def run(options: argparse.Namespace) -> bool:
    """
    Play the scenario and write its report.

    Returns:
        whether it held every threshold.

    Raises:
        Failure: what was wrong, and what to do about it.
    """
    chosen = find(options.scenario)
    if options.rate and not chosen.takes_rate:
        raise Failure(f"{chosen.name} has users who wait for their answers, and so no --rate; leave it out")
    if options.column and not options.texts:
        raise Failure("--column names a column of --texts; give both")
    from loadtesting import report  # noqa: PLC0415  # --help needs no more than Python
    from loadtesting.measure import Wish, measure  # noqa: PLC0415
    from loadtesting.run import load  # noqa: PLC0415

    earlier = load(options.compare, chosen.name) if options.compare else None
    now = datetime.now().astimezone()
    out = options.out or ROOT / "reports" / "loadtest" / f"{chosen.name}-{now:%Y%m%d-%H%M%S}"
    measured = measure(chosen, Wish(options.url, options.duration, options.rate, options.texts, options.column))
    return report.write(measured, earlier, out)


def main() -> int:
    """
    Run the command; return the exit status: 1 if a threshold broke.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0 if run(parse_options()) else 1
    except Failure as failure:
        print(f"scripts/loadtest: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("scripts/loadtest: interrupted; everything is stopped, and there is no report", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
