"""An application's env.py in this process: it connects to nothing, writes nothing, and nothing of
it gets out."""

from __future__ import annotations

import builtins
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Engine


class Connects(Exception):
    """The application has tried to connect."""


@contextmanager
def unconnected() -> Iterator[None]:
    """Inside, no engine of SQLAlchemy connects."""

    def refuse(*_given: object) -> NoReturn:
        raise Connects

    event.listen(Engine, "do_connect", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", refuse)


@contextmanager
def unwritten() -> Iterator[None]:
    """Inside, a file that is opened for writing is one in memory, and what is there stays.

    Alembic's template "multidb" opens a file for each database.
    """
    opens = io.open

    def in_memory(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+"):
            return opens(file, mode, *given, **named)
        return io.BytesIO() if "b" in mode else io.StringIO()

    # pathlib asks the one, everybody else the other.
    builtins.open = io.open = in_memory
    try:
        yield
    finally:
        builtins.open = io.open = opens


@contextmanager
def quietly() -> Iterator[None]:
    """What an application's env.py prints, logs and sets up for itself stays inside."""
    root, path = logging.getLogger(), sys.path[:]
    handlers, level, disabled = root.handlers[:], root.level, logging.root.manager.disable
    states = {name: one.disabled for name, one in _loggers()}
    dropped = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(dropped), redirect_stderr(dropped):
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.path[:] = path
        for name, one in _loggers():
            one.disabled = states.get(name, False)


def _loggers() -> Sequence[tuple[str, logging.Logger]]:
    known = logging.root.manager.loggerDict
    return [(name, one) for name, one in known.items() if isinstance(one, logging.Logger)]
