"""
Quiet structured logs: one JSON line a request in production, readable lines on a terminal.
"""

import json
import logging
import sys
import warnings
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]
_NOISY = ("kserve", "kserve.trace", "uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "grpc")

# without local variables: they hold texts
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(log_format: LogFormat, log_level: LogLevel) -> None:
    """
    Send our log and every library's to stderr, in one format.

    Libraries speak from WARNING on: KServe alone writes four lines a request by default.

    Args:
        log_format: `auto` is `console` on a terminal and `json` elsewhere.
        log_level: the least severe of our own lines that is written.
    """
    console = sys.stderr.isatty() if log_format == "auto" else log_format == "console"
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not console),
    ]
    renderers: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [_TRACEBACKS, structlog.processors.EventRenamer("message"), _render_json]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
        # a line in one write: two services may share a terminal
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(shared, renderers)


def _configure_libraries(shared: list[Processor], renderers: list[Processor]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    # KServe 0.21 still answers with FastAPI's ORJSONResponse; nothing that an operator could act on
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # KServe configures its own handlers unless its logger has one
    kserve_logger = logging.getLogger("kserve")
    kserve_logger.handlers = [handler]
    kserve_logger.propagate = False


def _render_json(_logger: object, _method: str, event: EventDict) -> str:
    # not orjson: a log line must come out whatever is in it, huge integers and lone surrogates too
    return json.dumps(event, default=str)
