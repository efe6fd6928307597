"""
Deploy an overlay of manifests/ on a cluster, and see that it answers.

It renders the overlay, shows what would change, applies it, waits while the cluster's events are shown, and has one
text answered. If that fails, it says why and makes live again what was live before. A second time nothing changes.
"""

import argparse
import sys

from local.supervisor import Failure

_INTERRUPTED = 130
COMMANDS = {
    "apply": "deploy it; the word may be left out",
    "diff": "only show what would change",
    "status": "what is deployed, how it is, and why not",
    "promote": "give a canary all requests",
    "rollback": "give all requests to the predictor's revision before (Knative)",
    "delete": "delete it; the namespace and its Secrets stay",
}


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="[COMMAND] OVERLAY")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.add_argument("overlay", metavar="OVERLAY", help="a name in manifests/overlays, or a folder of your own")
        command.add_argument("--context", help="of the kubeconfig (default: its current one)")
        if name in {"apply", "diff"}:
            command.add_argument(
                "--canary", type=_percent, metavar="PERCENT", help="of the requests, for its predictor"
            )
            command.add_argument(
                "--image",
                action="append",
                default=[],
                metavar="REGISTRY/NAME:TAG",
                help="instead of the overlay's of that name; also REGISTRY/NAME@DIGEST; for each image again",
            )
            command.add_argument("--force", action="store_true", help="take over fields that other tools have set")
        if name in {"apply", "promote", "rollback", "delete"}:
            command.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="default: %(default)s")
        if name == "delete":
            command.add_argument("--yes", action="store_true", help="do not ask")
    if arguments and arguments[0] not in {*COMMANDS, "-h", "--help"}:
        arguments = ["apply", *arguments]
    return parser.parse_args(arguments)


def _percent(text: str) -> int:
    percent = int(text)
    if not 0 < percent < 100:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("between 1 and 99")
    return percent


def run(options: argparse.Namespace) -> None:
    """
    Run the command.

    Raises:
        Failure: what was wrong, and what to do about it.
    """
    from rich.console import Console  # noqa: PLC0415  # --help needs no more than Python

    from deployment import manifest, release, removal, status  # noqa: PLC0415
    from deployment.cluster import Cluster  # noqa: PLC0415

    console = Console()
    objects = manifest.render(options.overlay, vars(options).get("image", []))
    if options.command == "delete" and not options.yes:
        _ask(f"Delete {len(objects)} objects of {options.overlay}? [y/N] ")
    with Cluster(options.context) as cluster:
        if options.command in {"apply", "diff"}:
            wanted = release.Release(cluster, objects, console, percent=options.canary, force=options.force)
            wanted.show()
            if options.command == "apply":
                wanted.apply(options.timeout)
        elif options.command == "status":
            status.show(cluster, objects, console)
        elif options.command == "delete":
            removal.delete(cluster, objects, console, options.timeout)
        else:
            release.shift(cluster, objects, console, options.command, options.timeout)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise Failure("nobody to ask, since the input is no terminal; --yes deletes without asking")
    if input(question).strip().lower() not in {"y", "yes"}:
        raise Failure("nothing deleted")


def main() -> int:
    """
    Run the command; return the exit status.
    """
    try:
        run(parse_options(sys.argv[1:]))
    except Failure as failure:
        print(f"scripts/deploy: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scripts/deploy: interrupted; what is applied stays, scripts/deploy status shows it", file=sys.stderr)
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
