"""
What both services are told from outside: environment variables, and the flags that KServe's controller passes.
"""

import argparse
import re
import sys
from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.logs import LogFormat, LogLevel

PositiveInt = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ServingSettings(BaseSettings):
    """
    Settings of both services; each is the environment variable of the same name in capitals.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    max_body_bytes: PositiveInt = 4 * 1024 * 1024
    """
    Largest request body, as sent and as inflated. 4 MiB holds the largest number of texts at 1 KiB each.
    """

    max_texts: PositiveInt = 4096
    """
    Most texts a request. One request is answered whole, so this also bounds how long an answer can take.
    """

    max_requests_in_flight: PositiveInt = 1024
    """
    Most requests at work at once, REST and gRPC together; health, metadata and metrics are not counted. 1024 are 100
    requests a second that take 10 s each, the longest that a transformer waits: more would only wait to fail.
    """

    receive_timeout_seconds: Seconds = 20.0
    """
    Longest wait for a request to arrive whole, from its first byte. In 20 s 4 MiB arrive over 2 Mbit/s.
    """

    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    """
    From SIGTERM to closing the listener, seconds: readiness fails at once, requests that still arrive are served.
    5 s is what endpoints and gateways take to notice; 0 where nothing routes by readiness.
    """

    grace_seconds: PositiveInt = 20
    """
    Time for accepted work to finish after the listener closed, seconds. With `drain_seconds` it must stay within
    the pod's 30 s.
    """

    log_format: LogFormat = "auto"
    """
    `json`, `console`, or `auto`: console on a terminal, JSON elsewhere.
    """

    log_level: LogLevel = "info"
    """
    Least severe line written. `info` is one line a request, but for probes and scrapes that succeed.
    """

    @property
    def longest_work_seconds(self) -> float:
        """
        Longest time from a request's arrival to its answer; a service has one of its own, and what has none, none.
        """
        return 0.0

    @classmethod
    def from_environment(cls) -> Self:
        """
        Read the environment; an impossible value ends the process with one clear line (DESIGN law 10).
        """
        try:
            return cls()
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}"
                for item in error.errors(include_input=False)
            ]
            sys.exit(f"error: {'; '.join(faults)}; the README lists every setting")


def flag_parser(service: str, *, http_port: int, grpc_port: int) -> argparse.ArgumentParser:
    """
    The flags that KServe's controller passes to a container, under KServe's names.

    Args:
        service: what `--help` calls it.
        http_port: default port of REST.
        grpc_port: default port of gRPC.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {service}", allow_abbrev=False)
    parser.add_argument(
        "--model_name", type=_model_name, default="sentiment", help="name in the routes (default: %(default)s)"
    )
    parser.add_argument("--http_port", type=int, default=http_port, help="REST port (default: %(default)s)")
    parser.add_argument("--grpc_port", type=int, default=grpc_port, help="gRPC port (default: %(default)s)")
    # With 2 workers KServe's transformer answers 501 and /metrics answers for a random worker (KSERVE.md 1, 20);
    # the controller passes --workers=<containerConcurrency> unless the manifest passes 1.
    parser.add_argument("--workers", type=int, choices=[1], default=1, help="one; scale by replicas instead")
    return parser


def _model_name(argument: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", argument):
        raise argparse.ArgumentTypeError("must be letters, digits, '.', '_' and '-', since it is part of a path")
    return argument
