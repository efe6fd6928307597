"""
The transformer's start: flags and settings, and what must be set before KServe is imported.
"""

import argparse
import os
import re

from serving import lean_kserve, logs
from serving.settings import flag_parser
from transformer.allocator import give_back_large_blocks
from transformer.settings import TransformerSettings


def main() -> None:
    """
    Run the transformer until it is told to stop.
    """
    flags = _flags()
    settings = TransformerSettings.from_environment()
    logs.configure(settings.log_format, settings.log_level)
    give_back_large_blocks()
    # libuv's threads look names up, two at once by default: a Redis with a slow name must not hold up the predictor's
    os.environ.setdefault("UV_THREADPOOL_SIZE", "16")
    lean_kserve.import_kserve()

    from transformer.assembly import serve  # noqa: PLC0415  # KServe's import costs a second that --help must not

    serve(settings, flags)


def _flags() -> argparse.Namespace:
    parser = flag_parser("transformer", http_port=8080, grpc_port=8081)
    parser.add_argument("--predictor_host", type=_host, required=True, help="host[:port] of the predictor")
    # with a value, because KServe's import reads the flag too, and ends the process without one
    parser.add_argument(
        "--predictor_use_ssl", choices=["true", "false"], default="false", help="reach the predictor over TLS"
    )
    # REST by default: it reaches several replicas without a gateway, and gRPC has 0.8 times its requests/s (one unseen
    # text each, a predictor that answers at once)
    parser.add_argument(
        "--predictor_protocol",
        choices=["v2", "grpc-v2"],
        default="v2",
        help="Open Inference Protocol over REST or gRPC; --predictor_host names its port (default: %(default)s)",
    )
    return parser.parse_args()


def _host(argument: str) -> str:
    if not re.fullmatch(r"[^/:@\s]+(:\d{1,5})?", argument):
        raise argparse.ArgumentTypeError("must be host or host:port, without a scheme")
    return argument


if __name__ == "__main__":
    main()
