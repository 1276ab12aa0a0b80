"""A day's frames through a real store: the report that is read back is the one made in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dbopt.errors import DboptError
from dbopt.pg.connect import AsyncConnection
from dbopt.reportsettings import Report as Settings
from dbopt.stats.report.daily import daily_report
from dbopt.stats.report.model import Report
from dbopt.stats.report.reading import Wanted, report_of
from dbopt.stats.report.written import as_json
from dbopt.store import events
from dbopt.store.recording import History
from tests import report_story
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database
from tests.integration.store_support import create_store, on_connection
from tests.report_story import DAY, SERVER, TEXTS, frames, story

STEP = 30
"""Minutes of a frame: a few hundred are enough."""


@pytest.fixture(scope="module")
def stored(pg_backend: Backend) -> Iterator[str]:
    """Two days in a store."""

    async def write(conn: AsyncConnection) -> None:
        async with conn.transaction():
            history = History()
            eve = [*frames(DAY - timedelta(days=1), STEP, eventful=False)]
            await history.write(conn, [*eve, *frames(DAY, STEP)], TEXTS)
            await events.append(conn, report_story.events(DAY))

    with fresh_database(pg_backend) as dsn:
        on_connection(create_store(dsn), write)
        yield dsn


def read(dsn: str, hours: float = 24, **more: object) -> Report:
    wanted = Wanted(DAY, DAY + timedelta(hours=hours), cpus=8, **more)  # type: ignore[arg-type]
    return on_connection(dsn, lambda conn: report_of(conn, wanted))


def test_what_is_read_is_what_was_written(stored: str) -> None:
    made = story(STEP)
    found = read(stored)
    assert as_json(made) == as_json(replace(found, unseen=made.unseen))


def test_a_part_of_the_day_is_compared_with_the_day_before_too(stored: str) -> None:
    wanted = Wanted(DAY + timedelta(hours=12), DAY + timedelta(hours=16))
    report = on_connection(stored, lambda conn: report_of(conn, wanted))
    found = {section.id for section in report.sections}
    assert {"slower_before", "slower_yesterday"} <= found


def test_one_database_keeps_what_is_of_the_whole_server(stored: str) -> None:
    report = read(stored, database="shop")
    assert ("shop", SERVER.server) == (report.database, report.server)
    (changes,) = [section for section in report.sections if section.id == "events"]
    assert ["setting-changed", "plan-change"] == [row[1] for row in changes.rows]
    assert 0 < report.charts[0].series[0].values[2]  # type: ignore[operator]


def test_the_daily_report(stored: str, tmp_path: Path) -> None:
    settings = Settings(daily="07:00", directory=str(tmp_path), format="json", timezone="UTC")
    now = DAY + timedelta(days=1, hours=7)
    path = on_connection(stored, lambda conn: daily_report(conn, settings, now))
    assert path == tmp_path / "report-db1.shop.example-5432-2026-03-02.json"
    assert path.read_text().startswith('{\n  "format": 1,')


def test_a_daily_report_of_a_day_without_history(stored: str, tmp_path: Path) -> None:
    settings = Settings(directory=str(tmp_path))
    now = DAY + timedelta(days=30)
    with pytest.raises(DboptError, match="There is no history"):
        on_connection(stored, lambda conn: daily_report(conn, settings, now))
    assert [] == list(tmp_path.iterdir())
