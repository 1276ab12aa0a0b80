"""Who a step would wait for: locks, old snapshots, prepared transactions, vacuums.

CREATE INDEX CONCURRENTLY waits for each transaction that may write its table, and at its end for
each snapshot older than its own, whatever table it has read. DROP INDEX CONCURRENTLY waits for
each transaction that holds the table in any way. Who reads READ COMMITTED and is idle holds no
snapshot.

Source: DefineIndex, index_drop (src/backend/commands/indexcmds.c, src/backend/catalog/index.c);
docs: explicit-locking, progress-reporting "CREATE INDEX Phases".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dbopt.migrate.estimate import BUILDS, key, tree
from dbopt.migrate.looks.sight import Sight
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.sql.findings import Finding, Severity

_READERS = frozenset(("AccessShareLock", "RowShareLock"))
"""Modes that no build waits for."""
_BRIEF = 1.0
"""Seconds: younger transactions end by themselves before anybody has read of them."""
_DROPPING = (Action.DROP, Action.REBUILD, Action.REPLACE)
"""Actions that drop an index, which waits for readers of its table too."""
_ACTING = (*_DROPPING, Action.CREATE, Action.ATTACH)
"""Actions that wait for others. A rename waits for who changes the same index alone."""


def old_transactions(sight: Sight) -> Iterator[Finding]:
    """Transactions that a step would wait for; too old, they forbid a build."""
    for step in sight.changing:
        for session in blockers(step, sight.tables, sight.sessions):
            # Of a hidden one the locks and the snapshot are seen, and not since when.
            if session.age >= _BRIEF or session.gid or session.hidden:
                yield _blocked(sight, step, session)


def hidden_sessions(sight: Sight) -> Iterator[Finding]:
    """Others' sessions that our role cannot see into: their snapshots are unknown."""
    if sight.hidden and sight.changing:
        yield Finding(
            "old-transaction",
            Severity.INFO,
            sight.server.database,
            f"Since when {_count(sight.hidden, 'session')} of other roles hold locks and snapshots "
            "is not seen.",
            {"sessions": sight.hidden},
            f"GRANT pg_read_all_stats TO {look.quoted(sight.server.role)};",
            examined=False,
        )


def blockers(
    step: Step, tables: Mapping[look.Name, look.Table], sessions: Iterable[look.Session]
) -> list[look.Session]:
    """The sessions that this step would wait for if it began now, the oldest first.

    An autovacuum gives way, unless it is to prevent wraparound: it is none.
    """
    found = [one for one in sessions if _blocks(step, tables, one)]
    return sorted(found, key=lambda one: -one.age)


def who(session: look.Session) -> str:
    """The session in words, without what it runs."""
    if session.gid:
        return f"prepared transaction of {session.user}, {_age(session.age)}"
    words = [f"user {session.user}" if session.user else session.kind or "user unknown"]
    words += [session.application] if session.application else []
    words += [session.doing] if session.doing else [session.state or "state hidden"]
    age = "age hidden" if session.hidden else _age(session.age)
    return f"pid {session.pid} ({', '.join(words)}, {age})"


def evidence(session: look.Session) -> dict[str, Any]:
    """The session as JSON-ready types; its query only where it was asked for, without literals."""
    found: dict[str, Any] = {
        "pid": session.pid,
        "user": session.user,
        "application": session.application,
        "state": session.state,
        "age": None if session.hidden else round(session.age, 1),
        "snapshot": session.snapshot,
        "locks": sorted({mode for _, mode in session.locks}),
    }
    found |= {"doing": session.doing} if session.doing else {}
    found |= {"prepared": session.gid} if session.gid else {}
    return found | ({"query": session.query} if session.query else {})


def _blocks(step: Step, tables: Mapping[look.Name, look.Table], session: look.Session) -> bool:
    if session.kind == "autovacuum worker" and not session.wraparound:
        return False
    return bool(_reasons(step, tables, session))


def _reasons(
    step: Step, tables: Mapping[look.Name, look.Table], session: look.Session
) -> list[str]:
    """Why a step would wait for the session, in words; nothing where it would not."""
    found = (_reason(part, tables, session) for part in tree(step) if part.action in _ACTING)
    return [reason for reason in found if reason]


def _reason(part: Step, tables: Mapping[look.Name, look.Table], session: look.Session) -> str:
    existing = {part.existing.oid} if part.existing else set()
    table = tables.get((part.definition.schema, part.definition.table))
    if part.action is Action.ATTACH:
        # ACCESS EXCLUSIVE on the partition's index: whoever has planned with it has it locked.
        return "holds a lock on the index of a partition" if session.modes(existing) else ""
    if table is None:
        return ""
    modes = session.modes({table.oid} | existing)
    if modes - (frozenset() if part.action in _DROPPING else _READERS):
        return f"holds a lock on {table.name}"
    scans = part.action in BUILDS and part.ready is None and not table.partitioned
    return "holds an old snapshot" if scans and session.snapshot else ""


def _blocked(sight: Sight, step: Step, session: look.Session) -> Finding:
    limit = sight.settings.max_transaction_age
    builds = step.action is not Action.DROP
    old = bool(limit) and session.age > limit
    severity = Severity.CRITICAL if old and builds else Severity.WARNING if old else Severity.INFO
    why = _reasons(step, sight.tables, session)[0]
    rule = "prepared-transaction" if session.gid else "old-transaction"
    if session.doing:
        rule, severity = session.doing.replace(" ", "-"), min(severity, Severity.WARNING)
    return Finding(
        rule,
        severity,
        key(step.definition),
        f"It would wait for {who(session)}, which {why}.",
        evidence(session) | {"max_transaction_age": limit},
        _remedy(session),
    )


def _remedy(session: look.Session) -> str:
    if session.gid:
        name = look.literal(session.gid)
        return f"COMMIT PREPARED {name}; or ROLLBACK PREPARED {name};"
    if session.wraparound:
        return "Wait: this vacuum prevents wraparound, and begins anew where it is cancelled."
    if session.doing:
        return f"Wait for it to end, or: SELECT pg_cancel_backend({session.pid});"
    return f"End its transaction, wait, or: SELECT pg_terminate_backend({session.pid});"


def _age(seconds: float) -> str:
    return f"{seconds:.0f} s old"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
