from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dbopt.errors import DboptError
from dbopt.reportsettings import Report as Settings
from dbopt.stats.report import daily
from dbopt.stats.report.model import Report

NOW = datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "expected"), [("07:00", (7, 0)), ("7:05", (7, 5)), ("23:59", (23, 59))]
)
def test_times_of_day(words: str, expected: tuple[int, int]) -> None:
    assert expected == daily.time_of(words)
    assert expected == daily.due(Settings(daily=words))


@pytest.mark.parametrize("words", ["24:00", "7", "07:60", "7am", "07:00:00", "-1:00"])
def test_what_is_no_time_of_day(words: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever says so
        daily.time_of(words)


def test_no_daily_report() -> None:
    assert daily.due(Settings()) is None


def test_yesterday_is_a_day_of_the_zone() -> None:
    since, until = daily.yesterday(datetime(2026, 3, 30, 5, tzinfo=UTC), "Europe/Berlin")
    # Summer time began on 29 March: that day had 23 hours.
    assert datetime(2026, 3, 28, 23, tzinfo=UTC) == since
    assert datetime(2026, 3, 29, 22, tzinfo=UTC) == until


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("db1:5432", "report-db1-5432-2026-03-02.html"),
        ("../../etc/x", "report-etc-x-2026-03-02.html"),
        ("", "report-server-2026-03-02.html"),
        ("[::1]:5432", "report-1-5432-2026-03-02.html"),
    ],
)
def test_file_names_stay_in_the_directory(server: str, name: str) -> None:
    assert name == daily.file_name(server, date(2026, 3, 2), "html")


def test_old_reports_and_nothing_else_are_removed() -> None:
    names = ["report-db1-2026-01-01.html", "report-db1-2026-02-28.md", "notes-2020-01-01.html",
             "report-db1-2020-01-01.html.bak", "report-2020-01-01.html"]  # fmt: skip
    assert ["report-db1-2026-01-01.html"] == daily.expired(names, date(2026, 3, 3), 30)
    assert [] == daily.expired(names, date(2026, 3, 3), 0)


def deliver(report: Report, settings: Settings) -> Path | None:
    return asyncio.run(daily.deliver(report, settings, NOW))


@pytest.mark.parametrize(
    ("kind", "begin"), [("html", "<!DOCTYPE"), ("markdown", "# "), ("json", "{")]
)
def test_a_report_is_written(day: Report, tmp_path: Path, kind: str, begin: str) -> None:
    (tmp_path / "report-old-2020-01-01.html").write_text("old")
    path = deliver(day, Settings(directory=str(tmp_path), format=kind))
    assert [path] == list(tmp_path.iterdir())
    assert path is not None
    assert path.read_text().startswith(begin)
    assert 0o640 == path.stat().st_mode & 0o777


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        daily.write_file(tmp_path, "x.html", "\ud800")
    assert [] == list(tmp_path.iterdir())


def test_a_directory_that_cannot_be(day: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DboptError, match="was not written"):
        deliver(day, Settings(directory=str(tmp_path / "file" / "deep")))
