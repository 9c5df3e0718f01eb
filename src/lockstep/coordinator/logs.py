"""How the processes of the coordinator log: one line for each event, for eyes on a terminal and as JSON elsewhere.

Libraries that use the standard library's logging come out in the same form. Tracebacks are plain: the values of local
variables stay out of the logs, since there are tokens and addresses among them.
"""

import logging
import sys
from typing import Any, Final, TextIO

import structlog
from structlog.types import Processor

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def set_up_logs(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the logs of this process to its standard error, or to another stream."""
    to = stream or sys.stderr
    lines: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if to.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*_SHARED, *lines],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(to),
    )
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *lines]
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").addFilter(_not_told_twice)


def _not_told_twice(record: logging.LogRecord) -> bool:
    """Leave out the server's report of an error in the application, which has logged it with the request."""
    message: Any = record.msg
    return not str(message).startswith("Exception in ASGI application")
