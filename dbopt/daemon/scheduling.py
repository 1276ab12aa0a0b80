"""The daemon's periodic jobs: APScheduler runs them, and what each did is noted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from dbopt.errors import DboptError
from dbopt.trace.jobs import Jobs

log = structlog.get_logger("dbopt.daemon")

Work = Callable[[], Awaitable[bool | None]]
"""What a job does. False: there was nothing to do, so that a failure before may last."""


class Schedule:
    """Jobs by name: never two runs of one at once, late runs become one, failures are noted.

    A failure is logged when it begins and when it ends: a job that runs each second would fill
    the log.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._scheduler = AsyncIOScheduler()
        self._failed: dict[str, str] = {}

    def every(self, name: str, seconds: float, work: Work, *, now: bool = False) -> None:
        """Run it every so many seconds, with a jitter; the first time now, if that is wanted."""
        self._jobs.declare(name)
        # A job without a first time is paused; APScheduler has no other word for "by the interval".
        first = {"next_run_time": datetime.now(UTC)} if now else {}
        self._scheduler.add_job(
            self._noted, "interval", (name, work), id=name, seconds=seconds,
            jitter=min(seconds / 20, 5) if seconds > 1 else None, max_instances=1, coalesce=True,
            misfire_grace_time=None, **first,
        )  # fmt: skip

    def daily(self, name: str, hour: int, minute: int, timezone: str, work: Work) -> None:
        """Run it each day at that time of the zone (a name such as Europe/Berlin, or UTC)."""
        self._jobs.declare(name)
        self._scheduler.add_job(
            self._noted, CronTrigger(hour=hour, minute=minute, timezone=timezone), (name, work),
            id=name, max_instances=1, coalesce=True, misfire_grace_time=3600,
        )  # fmt: skip

    def soon(self, name: str) -> None:
        """Run it now, and by its interval from then on."""
        if self._scheduler.running:
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Begin no more runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _noted(self, name: str, work: Work) -> None:
        failed, hint, idle = "", "", False
        try:
            idle = await work() is False
        except DboptError as error:
            failed, hint = error.message, error.hint
        except asyncio.CancelledError:
            return  # the daemon ends
        except Exception as error:
            # The type alone: the words might hold what must not be logged.
            failed = type(error).__name__
        self._jobs.ran(name, failed)
        if idle:
            return
        before, self._failed[name] = self._failed.get(name, ""), failed
        if failed and failed != before:
            log.warning("job failed", job=name, error=failed, hint=hint)
        elif before and not failed:
            log.info("job works again", job=name)
