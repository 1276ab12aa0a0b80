from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from dbopt import logs
from dbopt.settings import Log

SECRET = "hunter2"


Written = Callable[[], str]


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What was written to standard error; the logging of before comes back at the end."""
    root, ours = logging.getLogger(), logging.getLogger("dbopt")
    before = (root.handlers, root.level, ours.level)
    yield lambda: capsys.readouterr().err
    root.handlers, root.level, ours.level = before
    structlog.reset_defaults()


def lines(stderr: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr().splitlines()]


def test_one_json_object_a_line_where_it_is_no_terminal(stderr: Written) -> None:
    logs.configure(Log())

    structlog.get_logger("dbopt.x").info("line\none", worker=1)
    logging.getLogger("psycopg").warning("cannot connect to %s", "there")

    first, second = lines(stderr)
    assert ("line\none", "info", "dbopt.x", 1) == (
        first["event"], first["level"], first["logger"], first["worker"],
    )  # fmt: skip
    assert first["timestamp"].endswith("Z")
    assert ("cannot connect to there", "warning") == (second["event"], second["level"])


def test_for_people_on_request(stderr: Written) -> None:
    logs.configure(Log(format="human"))

    structlog.get_logger("dbopt.x").info("listening")

    text = stderr()
    assert "listening" in text
    assert not text.startswith("{")


def test_for_people_on_a_terminal(stderr: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.configure(Log())

    structlog.get_logger("dbopt.x").info("listening")

    assert not stderr().startswith("{")


def test_a_new_level_holds_for_loggers_in_use(stderr: Written) -> None:
    log = structlog.get_logger("dbopt.x")
    for level in ("info", "error", "debug"):
        logs.configure(Log(level=level))
        log.debug("debug")
        log.info("info")
        log.error("error")

    said = [line["event"] for line in lines(stderr)]
    assert ["info", "error", "error", "debug", "info", "error"] == said


def test_others_information_is_not_written(stderr: Written) -> None:
    logs.configure(Log(level="debug"))

    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("apscheduler.scheduler").warning("maximum number of running instances")

    assert "" == stderr()


@pytest.mark.parametrize("form", ["json", "human"])
def test_an_exception_is_named_without_its_words(stderr: Written, form: str) -> None:
    logs.configure(Log(format=form))

    try:
        raise ValueError(SECRET)
    except ValueError as error:
        structlog.get_logger("dbopt.x").exception("it failed")
        structlog.get_logger("dbopt.x").error("it failed", exc_info=error)
        logging.getLogger("asyncio").exception("never retrieved")
    structlog.get_logger("dbopt.x").error("no exception", exc_info=True)

    text = stderr()
    assert SECRET not in text
    assert 3 == text.count("ValueError")
    assert 3 == text.count("test_logs.py:")
    assert "Traceback" not in text


def test_a_line_that_cannot_be_written_shows_no_traceback(
    stderr: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)  # it comes back at the end
    logs.configure(Log())
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    closed = io.StringIO()
    closed.close()
    handler.setStream(closed)

    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger("dbopt.x").error("it failed")

    assert "" == stderr()
