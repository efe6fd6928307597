"""
Run the whole service on this machine: Redis, the predictor and the transformer, until Ctrl-C.

Redis is `redis-server` or `valkey-server` from the PATH, else the one that scripts/install brings where it can; without
any, the transformer keeps its answers in its own process. Every setting of the services is an environment variable,
and is passed on to them.
"""

import argparse
import contextlib
import http.client
import os
import socket
import sys
from functools import partial
from pathlib import Path

from local import redis_server
from local.arguments import port_of, seconds_of
from local.supervisor import Child, Failure, Pause, Stopped, interruptible_pause, say

ROOT = Path(__file__).resolve().parents[1]
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def parse_options() -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = "(default: %(default)s)"
    parser.add_argument("--http-port", type=port_of, default=8080, help=f"the transformer's REST port {default}")
    parser.add_argument("--grpc-port", type=port_of, default=8081, help=f"the transformer's gRPC port {default}")
    parser.add_argument(
        "--predictor-http-port", type=port_of, default=8090, help=f"the predictor's REST port {default}"
    )
    parser.add_argument(
        "--predictor-grpc-port", type=port_of, default=8091, help=f"the predictor's gRPC port {default}"
    )
    parser.add_argument("--model-dir", type=Path, help=f"a folder with {', '.join(MODEL_FILES)} (default: ours)")
    parser.add_argument("--model-name", default="sentiment", help=f"the name in the routes {default}")
    redis = "a Redis that runs already, instead of one of our own (default: the REDIS_URL of the environment)"
    parser.add_argument("--redis-url", default=os.environ.get("REDIS_URL"), help=redis)
    parser.add_argument(
        "--ready-timeout-seconds", type=seconds_of, default=120, help=f"how long a service may take to start {default}"
    )
    return parser.parse_args()


def check_ports(options: argparse.Namespace) -> None:
    """
    Refuse a port that cannot be listened on.

    Raises:
        Failure: with the port and its flag.
    """
    seen: set[int] = set()
    for name in ("http_port", "grpc_port", "predictor_http_port", "predictor_grpc_port"):
        port, flag = getattr(options, name), f"--{name.replace('_', '-')}"
        if port in seen:
            raise Failure(f"port {port} is asked for twice; give {flag} another")
        seen.add(port)
        for host in ("127.0.0.1", ""):  # macOS lets a wildcard listener join one on the loopback unnoticed
            try:
                socket.create_server((host, port)).close()
            except (OSError, OverflowError) as error:
                raise Failure(f"port {port} is taken or not permitted; free it or give {flag} another") from error


def check_model(folder: Path) -> None:
    """
    Refuse a folder that holds no model.

    Raises:
        Failure: with what is missing.
    """
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise Failure(f"--model-dir {folder}: no {', '.join(missing)} there; name a folder that holds them")


def answers_ready(port: int) -> bool:
    """
    Ask a service whether it can take requests.
    """
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def start_service(name: str, children: contextlib.ExitStack, environment: dict[str, str], **flags: str | int) -> Child:
    """
    Start one of our packages.
    """
    arguments = [text for flag, value in flags.items() for text in (f"--{flag}", str(value))]
    # Nothing routes by readiness here, so there is nobody to wait for before closing.
    child = Child.start(
        name,
        [sys.executable, "-m", name, "--workers", "1", *arguments],
        folder=ROOT,
        environment={"DRAIN_SECONDS": "0", **os.environ, **environment},
    )
    children.callback(child.stop)
    return child


def serve(options: argparse.Namespace, children: contextlib.ExitStack, pause: Pause) -> None:
    """
    Start everything, say so, and watch it.

    Raises:
        Failure: a part did not become ready, or ended.
        Stopped: a signal asked to end.
    """
    redis, redis_url = None, options.redis_url or ""
    server = None if redis_url else redis_server.find()
    if server:
        redis, redis_url = redis_server.start(server, children, pause, options.ready_timeout_seconds)
    elif not redis_url:
        say("redis", "none found: answers are kept in the transformer's own process; install redis-server to have one")
    predictor = start_service(
        "predictor",
        children,
        {"MODEL_DIR": str(options.model_dir.resolve())} if options.model_dir else {},
        model_name=options.model_name,
        http_port=options.predictor_http_port,
        grpc_port=options.predictor_grpc_port,
    )
    transformer = start_service(
        "transformer",
        children,
        {"REDIS_URL": redis_url},
        model_name=options.model_name,
        http_port=options.http_port,
        grpc_port=options.grpc_port,
        predictor_host=f"127.0.0.1:{options.predictor_http_port}",
    )
    for service, port in ((predictor, options.predictor_http_port), (transformer, options.http_port)):
        service.await_ready(partial(answers_ready, port), pause, options.ready_timeout_seconds)
    welcome(options.http_port, options.model_name)
    watch(redis, [predictor, transformer], pause)


def welcome(port: int, model_name: str) -> None:
    """
    Say where the service is and how to try it.
    """
    question = """'{"text": ["I hate you.", "I love you."]}'"""
    say("serving", f"http://localhost:{port}    Ctrl-C stops everything")
    say("try", f"curl -d {question} localhost:{port}/v1/models/{model_name}:predict")


def watch(redis: Child | None, services: list[Child], pause: Pause) -> None:
    """
    Look at the children until a service ends or a signal comes; the service can do without Redis.
    """
    while True:
        pause()
        for service in services:
            if end := service.end():
                raise Failure(f"{service.name} {end}; see its own lines above, then start again with scripts/serve")
        if redis and (end := redis.end()):
            say("redis", f"{end}; the service goes on with the transformer's own cache")
            redis = None


def main() -> int:
    """
    Run the stack; return the exit status.
    """
    options = parse_options()
    pause = interruptible_pause()
    try:
        check_ports(options)
        if options.model_dir:
            check_model(options.model_dir)
        with contextlib.ExitStack() as children:
            serve(options, children, pause)
    except Stopped:
        return 0
    except Failure as failure:
        print(f"scripts/serve: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
