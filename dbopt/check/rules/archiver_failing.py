"""WAL archiving fails: backups have a gap, and WAL piles up until the disk is full."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import duration
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("archive_mode") not in ("on", "always"):
        return
    if health.text("archive_command") == "" and not health.text("archive_library"):
        yield RULE.says(
            Severity.WARNING,
            "server",
            "archive_mode is on and nothing archives: WAL piles up.",
            "Set archive_command or archive_library.",
        )
    for one in health.archiver:
        if one.failed_ago is None or (one.archived_ago or float("inf")) <= one.failed_ago:
            continue
        last = (
            "never worked"
            if one.archived_ago is None
            else f"last worked {duration(one.archived_ago)} ago"
        )
        yield RULE.says(
            Severity.CRITICAL,
            "server",
            f"Archiving failed {duration(one.failed_ago)} ago, and {last}.",
            "Run archive_command by hand as the server's user; the server's log has its words.",
            failed=one.failed,
            archived=one.archived,
            failed_ago=round(one.failed_ago, 1),
            archived_ago=one.archived_ago,
        )


RULE = Rule("archiver-failing", "Replication", __doc__, _find, needs=("archiver",))
