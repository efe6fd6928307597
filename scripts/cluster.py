"""
A cluster on this machine with the service on it, by kind or minikube: up makes all of it, down removes it.

It needs docker or podman, and kind or minikube; four cores and 8 GB are enough. The first time takes ten minutes or
so, most of it downloads. Said again, it goes on where it stopped, starts a cluster that a reboot has stopped, and
brings changed code into it.
"""

import argparse
import sys

from local.supervisor import Failure

_INTERRUPTED = 130


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--on", choices=("kind", "minikube"), help="default: the first that is installed")
    parser.add_argument("--builder", choices=("docker", "podman"), help="default: the first that can be used")
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """
    Run the command.

    Raises:
        Failure: what was wrong, and what to do about it.
    """
    from deployment import laptop  # noqa: PLC0415  # --help needs no more than Python
    from image import builder as builders  # noqa: PLC0415

    tool = laptop.find(options.on)
    try:
        builder = builders.find(options.builder)
        if options.command == "up":
            laptop.up(tool, builder)
        else:
            tool.run(tool.delete, builder)
    except builders.Failure as failure:
        raise Failure(str(failure)) from None


def main() -> int:
    """
    Run the command; return the exit status.
    """
    try:
        run(parse_options())
    except Failure as failure:
        print(f"scripts/cluster: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/cluster: interrupted; the cluster stays, up goes on and down removes it", file=sys.stderr)
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
