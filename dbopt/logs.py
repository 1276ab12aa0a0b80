"""Structured logs on standard error: human on a terminal, JSON otherwise."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

import structlog

from dbopt.settings import Log


def configure(log: Log) -> None:
    """Set up structlog, and send the standard library's warnings (psycopg's) the same way.

    May be called again: loggers that are in use take the new level.
    """
    human = log.format == "human" or (log.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_exception,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            # The level is asked of the standard library's logger at each call: a cached logger
            # would keep one that is wrapped in.
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # A line that cannot be written must not bring a traceback, whose words may hold a literal.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("dbopt").setLevel(log.level.upper())
    # A run that is left out since the last one still runs is no news: jobs are made so.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # Its warnings come with each attempt to connect; the pools' owners say it once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def _name_exception(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """An exception as its type and place: its words, or its locals, might hold a literal."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, BaseException):
        given = (type(given), given, given.__traceback__)
    if given and given[0] is not None:
        event["exception_type"] = given[0].__name__
        event["where"] = _place(given[2])
    return event


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
