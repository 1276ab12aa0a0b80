"""Plans that auto_explain writes into the log, read as they come into the book of plans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from dbopt.metrics import Definition, Sample, Type
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.fingerprint import fingerprint
from dbopt.trace.autoexplain import LoggedPlan, logged_plan
from dbopt.trace.logfollow import LogFollower
from dbopt.trace.planbook import AUTO_EXPLAIN, PlanBook, Sighting
from dbopt.trace.serverlog import Message, Splitter, splitter

log = structlog.get_logger("dbopt.trace")

MAX_BYTES = 4 << 20
"""Read of the log at a time: `poll` is called once a second."""
MAX_PLANS = 50
"""Read of them at a time; each costs about a millisecond."""

METRICS = (
    Definition("dbopt_auto_explain_plans_total", Type.COUNTER, "Plans read in the server's log."),
    Definition(
        "dbopt_auto_explain_dropped_total", Type.COUNTER, "Those too many at once, or unreadable."
    ),
    Definition(
        "dbopt_auto_explain_skipped_bytes_total", Type.COUNTER, "Bytes of the log not read in time."
    ),
)
"""What `samples` gives, for Metrics.add."""


class AutoPlans:
    """Follows `path` (trace.auto_explain_log: a file or a directory).

    `database_of` tells in which database a fingerprint runs, for a log that does not say it.
    `prefix` is the server's log_line_prefix, see `read_prefix`; set it before the first `poll`.
    """

    def __init__(
        self, path: str, book: PlanBook, database_of: Callable[[int], str] = lambda _: ""
    ) -> None:
        self.prefix = ""
        self.read = self.dropped = 0
        self.error = ""
        self._path = path
        self._book = book
        self._database_of = database_of
        self._follower = LogFollower(Path(path))
        self._splitter: tuple[str, Splitter] = ("", splitter(""))

    async def poll(self) -> int:
        """Take what was appended since the last call; gives how many plans. Never raises OSError.

        What cannot be read is logged once, and is a finding, until it can.
        """
        try:
            found = await asyncio.to_thread(self._look)
        except OSError as error:
            self._unreadable(error)
            return 0
        if self.error:
            log.info("the server's log can be read again", path=self._path)
            self.error = ""
        for number, plan in found:
            database = plan.database or self._database_of(number)
            self._seen(Sighting(number, database, plan.plan, plan.duration_ms, AUTO_EXPLAIN))
        return len(found)

    def _seen(self, sighting: Sighting) -> None:
        try:
            self._book.seen(sighting)
        except Exception as error:
            # Whoever may run RAISE LOG may log what looks like a plan and is none.
            self.dropped += 1
            log.warning("a logged plan cannot be read", error=type(error).__name__)
        else:
            self.read += 1

    def _unreadable(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        if reason != self.error:
            log.warning("the server's log cannot be read", path=self._path, error=reason)
        self.error = reason

    def _look(self) -> list[tuple[int, LoggedPlan]]:
        """In a thread: reading, parsing and fingerprinting take their time."""
        found: list[tuple[int, LoggedPlan]] = []
        for message in self._messages():
            plan = logged_plan(message) if len(found) < MAX_PLANS else None
            if plan is None:
                self.dropped += 1
            else:
                found.append((fingerprint(plan.sql), plan))
        return found

    def _messages(self) -> Iterator[Message]:
        heard = False
        for name, data in self._follower.read(MAX_BYTES):
            if name != self._splitter[0]:
                yield from self._splitter[1].rest()
                self._splitter = (name, splitter(name, self.prefix))
            heard = True
            yield from self._splitter[1].feed(data)
        if not heard:
            yield from self._splitter[1].rest()

    def close(self) -> None:
        """Let the file go."""
        self._follower.close()

    def finding(self) -> Finding | None:
        """That the log is not examined, and what to do; None while it can be read."""
        if not self.error:
            return None
        return Finding(
            rule="trace-auto-explain",
            severity=Severity.WARNING,
            object=self._path,
            message=f"The server's log was not read for auto_explain's plans: {self.error}.",
            remedy="Let dbopt's user read it (log_file_mode = 0640 and the group of the server's "
            "user), or point trace.auto_explain_log to where it is.",
            examined=False,
        )

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield Sample("dbopt_auto_explain_plans_total", self.read)
        yield Sample("dbopt_auto_explain_dropped_total", self.dropped)
        yield Sample("dbopt_auto_explain_skipped_bytes_total", self._follower.skipped)


async def read_prefix(conn: AsyncConnection) -> str:
    """The server's log_line_prefix. Raises ServerLost or QueryFailed."""
    with translated("Reading log_line_prefix"):
        rows = await fetch(conn, "trace_log_line_prefix")
    return str(rows[0]["prefix"])
