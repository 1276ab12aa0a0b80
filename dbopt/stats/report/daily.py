"""The daily report: when it is due, where it goes, what is too old. PURE but for `deliver`."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from dbopt.errors import DboptError
from dbopt.pg.connect import AsyncConnection
from dbopt.reportsettings import Report as Settings
from dbopt.stats.report import webhook
from dbopt.stats.report.html import html
from dbopt.stats.report.model import Report
from dbopt.stats.report.reading import Wanted, report_of
from dbopt.stats.report.text import markdown
from dbopt.stats.report.written import as_json

log = structlog.get_logger("dbopt.report")

ENDINGS = {"html": "html", "markdown": "md", "json": "json"}
_OURS = re.compile(r"report-.+-(\d{4}-\d{2}-\d{2})\.(?:html|md|json)")
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def time_of(words: str) -> tuple[int, int]:
    """Hour and minute of "07:00". Raises ValueError for what is no time of day."""
    if not re.fullmatch(r"\d{1,2}:\d{2}", words):
        raise ValueError("A time of day is such as 07:00.")
    found = time.fromisoformat(words.zfill(5))
    return found.hour, found.minute


def due(settings: Settings) -> tuple[int, int] | None:
    """Hour and minute, in report.timezone, at which a report is due; None where none is wanted."""
    return time_of(settings.daily) if settings.daily else None


def yesterday(now: datetime, timezone: str) -> tuple[datetime, datetime]:
    """The whole day before `now` in a zone: 23 or 25 hours long where the clocks change."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    return _midnight(today - timedelta(days=1), zone), _midnight(today, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # A zone's midnight in UTC: differences of wall-clock times would not know of summer time.
    return datetime.combine(day, time(), zone).astimezone(ZoneInfo("UTC"))


def file_name(server: str, day: date, kind: str) -> str:
    """The file of a day's report; no server's name leads out of the directory."""
    safe = _UNSAFE.sub("-", server).strip("-.") or "server"
    return f"report-{safe[:100]}-{day.isoformat()}.{ENDINGS[kind]}"


def expired(names: Iterable[str], today: date, keep_days: int) -> list[str]:
    """Those of the file names that are reports of ours, and older than is kept. 0 keeps all."""
    if not keep_days:
        return []
    oldest = (today - timedelta(days=keep_days)).isoformat()
    return sorted(name for name in names if (m := _OURS.fullmatch(name)) and m[1] < oldest)


def written(report: Report, kind: str) -> str:
    """The report in one of the formats of report.format."""
    return {"html": html, "markdown": markdown, "json": as_json}[kind](report)


def write_file(directory: Path, name: str, text: str) -> Path:
    """Write it as a whole or not at all: a reader never sees half a report. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".report-", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o640)
        target = directory / name
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    return target


def remove_old(directory: Path, today: date, keep_days: int) -> int:
    """Remove reports that are older than is kept; gives how many. Raises OSError."""
    old = expired((path.name for path in directory.iterdir()), today, keep_days)
    for name in old:
        (directory / name).unlink(missing_ok=True)
    return len(old)


async def daily_report(
    store: AsyncConnection, settings: Settings, now: datetime, database: str = "", server: str = ""
) -> Path | None:
    """Make yesterday's report, write it and send it; gives the file, None where none is wanted.

    `server` is ServerInfo.address, "" for the only one that the store knows. Both ways are tried;
    raises DboptError when one failed, and when there is no history of that day.
    """
    since, until = yesterday(now, settings.timezone)
    wanted = Wanted(since, until, server, database, settings.top, settings.cpus)
    report = await report_of(store, wanted)
    return await deliver(report, settings, now)


async def deliver(report: Report, settings: Settings, now: datetime) -> Path | None:
    """Write and send a report. Raises DboptError when either failed, after both were tried."""
    zone = ZoneInfo(settings.timezone)
    day, failed, path = report.since.astimezone(zone).date(), "", None
    name = file_name(report.server, day, settings.format)
    if settings.directory:
        try:
            path = await asyncio.to_thread(_filed, report, settings, name, now.astimezone(zone))
            log.info("report written", file=str(path))
        except OSError as error:
            failed = f"The report was not written to {settings.directory}: {error.strerror}."
    if settings.webhook:
        link = f"{settings.link.rstrip('/')}/{name}" if settings.link and path else ""
        try:
            await asyncio.to_thread(webhook.send, report, settings, link)
            log.info("report sent")
        except DboptError as error:
            failed = f"{failed} {error}".strip()
    if failed:
        raise DboptError(failed, hint="See [report] in the configuration.")
    return path


def _filed(report: Report, settings: Settings, name: str, now: datetime) -> Path:
    directory = Path(settings.directory)
    path = write_file(directory, name, written(report, settings.format))
    remove_old(directory, now.date(), settings.keep_days)
    return path
