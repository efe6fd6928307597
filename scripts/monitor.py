"""
Watch a running stack without Grafana, until Ctrl-C or for a while.

A Prometheus of its own scrapes the services every second and evaluates our alerts; the dashboards are drawn as a page,
with what is wrong on top, and as a picture for each panel.

Prometheus is `prometheus` from the PATH; it forgets everything at the end.
"""

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local.arguments import seconds_of
from local.supervisor import Failure, Pause, Stopped, interruptible_pause, say

if TYPE_CHECKING:
    from watching.prometheus import Prometheus

# Where scripts/serve has them.
DEFAULTS = {"transformer": "http://localhost:8080", "predictor": "http://localhost:8090"}
REPORTS = Path(__file__).resolve().parents[1] / "reports" / "monitor"
INTERVAL_SECONDS = 1
TELL_SECONDS = 15
LONGEST_SECONDS = 3600
"""What is drawn reaches back so far at most."""


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/monitor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, url in DEFAULTS.items():
        told = f"address of a {name}, once for each replica (default: {url}, where scripts/serve has it)"
        parser.add_argument(f"--{name}", action="append", metavar="URL", help=told)
    parser.add_argument(
        "--out",
        type=Path,
        default=REPORTS,
        metavar="DIR",
        help="where to draw (default: the project's reports/monitor)",
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=seconds_of,
        metavar="SECONDS",
        help="watch so long, draw once and end (default: draw every 15 s until Ctrl-C)",
    )
    return parser.parse_args()


def watch(options: argparse.Namespace, children: contextlib.ExitStack, pause: Pause) -> None:
    """
    Start Prometheus, and tell and draw what it sees.

    Raises:
        Failure: nothing to watch, or nothing to watch it with.
        Stopped: a signal asked to end.
    """
    from watching import prometheus, services  # noqa: PLC0415  # --help needs no more than Python

    urls = {name: getattr(options, name) or [url] for name, url in DEFAULTS.items()}
    for name, each in urls.items():
        for url in each:
            services.check(url, name)
    targets = {f"sentiment-{name}": each for name, each in urls.items()}
    server = prometheus.start(targets, children, pause, interval_seconds=INTERVAL_SECONDS)
    say("watching", f"{', '.join(url for each in urls.values() for url in each)}; Prometheus itself: {server.url}")
    tell(server, options, pause)


def tell(server: "Prometheus", options: argparse.Namespace, pause: Pause) -> None:
    """
    Say every few seconds how the service is, and draw.
    """
    from monitoring.boards import service  # noqa: PLC0415  # as above
    from watching import health  # noqa: PLC0415
    from watching.draw import PAGE, draw  # noqa: PLC0415
    from watching.view import Span  # noqa: PLC0415

    began = time.time()
    last = False
    while not last:
        wait = TELL_SECONDS if options.seconds is None else min(TELL_SECONDS, began + options.seconds - time.time())
        rest(wait, server, pause)
        now = time.time()
        last = options.seconds is not None and now >= began + options.seconds
        span = Span.until(now, min(now - began, LONGEST_SECONDS), INTERVAL_SECONDS)
        say("now", health.line(health.glance(server, service.BOARD, span)))
        if last or options.seconds is None:
            missing = draw(server, span, options.out, pause, refresh=0 if last else TELL_SECONDS)
            say("drawn", "; without data: ".join([str(options.out / PAGE), *([", ".join(missing)] if missing else [])]))


def rest(seconds: float, server: "Prometheus", pause: Pause) -> None:
    """
    Wait, and see that Prometheus lives.

    Raises:
        Failure: it ended.
        Stopped: a signal asked to end.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pause()
        if how := server.process.end():
            raise Failure(f"prometheus {how}; see its own lines above")


def main() -> int:
    """
    Run the command; return the exit status.
    """
    options = parse_options()
    pause = interruptible_pause()
    try:
        with contextlib.ExitStack() as children:
            watch(options, children, pause)
    except Stopped:
        return 0
    except (Failure, OSError) as failure:
        print(f"scripts/monitor: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
