"""What the plan itself shows: leftovers that are invalid, twins, builds that run, conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from dbopt.migrate.declared import Declared
from dbopt.migrate.estimate import key
from dbopt.migrate.looks.sight import Sight
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.pg.catalog import Index, Locked
from dbopt.sql.findings import Finding, Severity

_MOST_TABLES = 5
"""Tables that are named; a new database has none that was analyzed."""


def states(sight: Sight) -> Iterator[Finding]:
    """A finding of each step whose state someone should know of."""
    for step in sight.steps:
        found = _state(step)
        if found:
            yield found


def statistics(sight: Sight) -> Iterator[Finding]:
    """Tables that no ANALYZE has seen: what is estimated of their indexes is rough."""
    tables = dict.fromkeys(sight.table(step) for step in sight.builds)
    unseen = [table for table in tables if table is not None and not table.analyzed]
    if unseen:
        names = (f"{look.quoted(one.schema)}.{look.quoted(one.name)}" for one in unseen)
        more = len(unseen) - _MOST_TABLES
        yield Finding(
            "statistics",
            Severity.INFO,
            ", ".join(map(str, unseen[:_MOST_TABLES])) + (f" and {more} more" if more > 0 else ""),
            "No VACUUM or ANALYZE has seen the table: sizes and times are rough.",
            remedy="ANALYZE;" if more > 0 else f"ANALYZE {', '.join(names)};",
        )


def expired(found: Iterable[Declared], today: date) -> Iterator[Finding]:
    """Declarations whose last day is over: nothing is dropped by itself."""
    for one in found:
        if one.annotations.expired(today):
            yield Finding(
                "expired",
                Severity.WARNING,
                one.definition.name,
                f"It was wanted until {one.annotations.expires} ({one.where}).",
                {"expires": str(one.annotations.expires), "owner": one.annotations.owner},
                "Take it out of the declarations, which drops it, or give it another day.",
            )


def left_invalid(indexes: Iterable[Index]) -> Iterator[Finding]:
    """Those that nobody has declared and that are invalid: each write pays, and no query gains."""
    for index in indexes:
        if not index.valid and index.builder_pid is None and not index.partitioned:
            name = f"{look.quoted(index.definition.schema)}.{look.quoted(index.name)}"
            more = ", and rows must be unique for it" if index.definition.unique else ""
            yield Finding(
                "invalid",
                Severity.WARNING,
                key(index.definition),
                f"It is invalid and not declared: no query uses it, every write pays for it{more}.",
                remedy=f"DROP INDEX CONCURRENTLY {name};",
            )


def locked(tables: Iterable[Locked]) -> Iterator[Finding]:
    """Tables without a declaration that somebody has locked: what they have is not seen."""
    for table in tables:
        yield Finding(
            "locked-table",
            Severity.INFO,
            str(table),
            f"Its indexes were not looked at: {table.holder} has locked it, or waits to "
            "(ACCESS EXCLUSIVE).",
            {"pid": table.pid},
            "Plan again when it is free: no drop of its indexes is planned meanwhile.",
            examined=False,
        )


def unregistered(database: str, reason: str) -> Iterator[Finding]:
    """The store did not say which indexes are dbopt's: what is declared no more is not seen."""
    if reason:
        yield Finding(
            "managed-indexes",
            Severity.INFO,
            database,
            f"Which indexes dbopt manages is not known, so no drop is planned. The store: {reason}",
            remedy="Mend store.dsn, or the store, and plan again.",
            examined=False,
        )


def _state(step: Step) -> Finding | None:
    name = key(step.definition)
    if step.action is Action.REBUILD:
        return Finding(
            "invalid",
            Severity.WARNING,
            name,
            "It is there and invalid: no query uses it, every write pays for it.",
            remedy="dbopt index apply builds it again.",
        )
    if step.action is Action.CONFLICT:
        return Finding(
            "conflict", Severity.WARNING, name, f"Nothing is done with it: {step.reason}.",
            remedy="Change the declaration, or what is there.",
        )  # fmt: skip
    if step.action is Action.BUSY:
        return Finding(
            "index-build", Severity.INFO, name, f"It is being built: {step.reason}.",
            remedy="A run waits for it.",
        )  # fmt: skip
    twin = str(step.existing) if step.existing else name
    if step.action is Action.PRESENT and twin != name:
        return Finding(
            "equivalent", Severity.INFO, name,
            f"The same index is there {step.reason or f'as {twin}'}.",
            remedy="Take the declaration out: nothing is built for it.",
        )  # fmt: skip
    return None
