"""
Work out what so much traffic needs: hit ratio, replicas, cores, Redis, network, cost, and what breaks first.

What requests cost is measured on a machine, the rest is worked out on paper; a simulated predictor tells how long its
requests take at the planned load. `check` holds all of it against the real service on this machine.
"""

import argparse
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from local.supervisor import Failure

_INTERRUPTED = 130


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    plan = _command(commands, "plan", "what traffic needs, at each of its scales")
    plan.add_argument("--traffic", type=Path, metavar="FILE", help="YAML or JSON (default: see --json's `traffic`)")
    plan.add_argument("--figures", type=Path, metavar="FILE", help="of `measure` (default: those that are shipped)")
    plan.add_argument("--json", action="store_true", help="for programs")
    measure = _command(commands, "measure", "measure this machine with nothing else running: one minute")
    measure.add_argument("figures", type=Path, metavar="FILE", help="for the figures")
    check = _command(
        commands, "check", "measure, predict two loads, play them, and compare: five minutes, nothing else running"
    )
    check.add_argument("--json", action="store_true", help="for programs")
    for command in (measure, check):
        command.add_argument("--numeric-mode", choices=["fp32", "bf16"], default="fp32", help="default: fp32")
    return parser.parse_args()


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def run(options: argparse.Namespace) -> bool:
    """
    Run the command.

    Returns:
        whether all went as it should.

    Raises:
        Failure: what was wrong, and what to do about it.
    """
    match options.command:
        case "plan":
            _plan(options.traffic, options.figures, as_json=options.json)
            return True
        case "measure":
            _measure(options.figures, options.numeric_mode)
            return True
        case _:
            return _check(options.numeric_mode, as_json=options.json)


def _plan(traffic_file: Path | None, figures_file: Path | None, *, as_json: bool) -> None:
    from sizing import simulated_replica, table  # noqa: PLC0415  # --help needs no more than Python
    from sizing.figures import SHIPPED, Figures  # noqa: PLC0415
    from sizing.plan import plan  # noqa: PLC0415
    from sizing.traffic import Traffic  # noqa: PLC0415

    figures = Figures.read(figures_file or SHIPPED)
    traffic = Traffic.read(traffic_file) if traffic_file else Traffic()
    plans = [plan(figures, traffic, rate) for rate in traffic.requests_per_second]
    replicas = [simulated_replica.simulate(figures, traffic, each) for each in plans]
    if as_json:
        scales = [
            {**dataclasses.asdict(each), "breaks_first": each.breaks_first, "simulated_predictor": replica.summary()}
            for each, replica in zip(plans, replicas, strict=True)
        ]
        _print_json({"figures": figures.model_dump(), "traffic": traffic.model_dump(), "scales": scales})
    else:
        table.show_figures(figures)
        table.show_plans(traffic, plans, replicas)


def _measure(file: Path, numeric_mode: str) -> None:
    from sizing import table  # noqa: PLC0415
    from sizing.measure import measure  # noqa: PLC0415

    figures = measure(numeric_mode)
    figures.write(file)
    table.show_figures(figures)


def _check(numeric_mode: str, *, as_json: bool) -> bool:
    from sizing import table  # noqa: PLC0415
    from sizing.check import check  # noqa: PLC0415
    from sizing.measure import measure  # noqa: PLC0415

    figures = measure(numeric_mode)
    comparisons = check(figures)
    if as_json:
        _print_json({"figures": figures.model_dump(), "loads": [dataclasses.asdict(each) for each in comparisons]})
    else:
        table.show_figures(figures)
        for each in comparisons:
            table.show_comparison(each)
    return all(each.held for each in comparisons)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, indent=2))


def main() -> int:
    """
    Run the command; return the exit status: 1 if a prediction was not held.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0 if run(parse_options()) else 1
    except Failure as failure:
        print(f"scripts/capacity: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("scripts/capacity: interrupted; everything is stopped", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
