"""Sessions that others wait for: the root of each tree, since when, whom, and for what lock."""

from __future__ import annotations

from typing import Any

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import duration, graded, several, terminate
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import Session
from dbopt.sql.findings import Finding, Severity


def _find(health: Health, limits: Check) -> Found:
    waiting = {s.pid: s for s in health.sessions if s.blocked_by}
    for root in sorted({pid for s in waiting.values() for pid in s.blocked_by} - set(waiting)):
        behind = _behind(root, waiting)
        rows = [_waiter(health, session) for session in behind]
        longest = max(row["seconds"] or 0.0 for row in rows)
        if severity := graded(longest, limits.blocking_warning, limits.blocking_critical):
            yield _finding(health, root, rows, severity, longest)


def _behind(root: int, waiting: dict[int, Session]) -> list[Session]:
    """Who waits for a session, or for one that waits for it, the nearest first."""
    found = {root: None}
    queue = [root]
    for pid in queue:
        more = [s.pid for s in waiting.values() if pid in s.blocked_by and s.pid not in found]
        found.update(dict.fromkeys(more))
        queue += more
    return [waiting[pid] for pid in queue[1:]]


def _waiter(health: Health, session: Session) -> dict[str, Any]:
    wait = next((w for w in health.waits if w.pid == session.pid), None)
    since = wait.seconds if wait else None
    return {
        "pid": session.pid,
        "who": session.who,
        "mode": wait.mode if wait else "",
        "relation": wait.relation if wait else "",
        # Before PostgreSQL 14 the server does not tell: the statement has waited at most so long.
        "seconds": session.query_seconds if since is None else since,
        "blocked_by": list(session.blocked_by),
    }


def _finding(
    health: Health, pid: int, rows: list[dict[str, Any]], severity: Severity, longest: float
) -> Finding:
    root = next((s for s in health.sessions if s.pid == pid), None)
    blocked = several(len(rows), "session")
    first = rows[0]
    what = f"{first['mode']} on {first['relation']}" if first["relation"] else first["mode"]
    who, remedy = "A prepared transaction", "SELECT * FROM pg_prepared_xacts;"
    if root is not None:
        state = root.state or root.kind or "hidden"
        since = f" for {duration(root.state_seconds)}" if root.state_seconds else ""
        who = f"{root.who}, {state}{since},"
        # What is idle in a transaction has nothing to cancel.
        remedy = f"SELECT pg_cancel_backend({pid});" if state == "active" else terminate(root)
    return RULE.says(
        severity,
        f"pid {pid}",
        f"{who} blocks {blocked}, the longest for {duration(longest)}: {what}.",
        remedy,
        blocked=len(rows),
        longest_seconds=round(longest, 1),
        state=root.state if root else "prepared",
        waiting=rows,
    )


RULE = Rule(
    "blocking-locks",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions", "waits"),
    settings=("blocking_warning", "blocking_critical"),
)
