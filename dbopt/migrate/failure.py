"""Why an index was not made, changed or dropped, and what to do about it.

Only what the server's SQLSTATE says is told: its own words may quote a value of a row.

Source: PostgreSQL's documentation, appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

from dbopt.errors import MigrationError, ServerLost
from dbopt.migrate.task import Changed, Task
from dbopt.migrate.watch import GaveWay
from dbopt.pg import ddl
from dbopt.pg.catalog import Index
from dbopt.sql.indexdef import IndexDefinition

_MEND = "Mend the cause, then run again."
_BLOCKED = "End what blocks it or raise migrate.build_timeout, then run again."

_CAUSES: dict[str, tuple[str, str]] = {
    "0A000": (
        "{verb}: PostgreSQL has no such index. A unique one on a partitioned table must hold all "
        "columns of the partition key.",
        "Correct the declared index.",
    ),
    "23505": (
        "is unique, and the table holds rows that are not.",
        "Find and merge the duplicates, then run again.",
    ),
    "40P01": (
        "{verb}: it and another session have waited for each other.",
        "Run again when the application changes less of the table's definition.",
    ),
    "42501": (
        "{verb}: the role may not.",
        "Only the table's owner, a member of that role, may; it also needs CREATE on the "
        "tablespace. Connect as one, or GRANT the owner's role.",
    ),
    "42P01": ("{verb}: the table is gone, or has another name.", "Correct the declared index."),
    "42703": ("{verb}: a column of it is gone.", "Correct the declared index."),
    "42704": ("{verb}: something that it needs is gone.", "Correct the declared index."),
    "53100": (
        "{verb}: the disk is full, in {tablespace} or where the server sorts (temp_tablespaces).",
        "Free space, or declare the index with a TABLESPACE that has some; then run again.",
    ),
    "53200": (
        "{verb}: the server has no memory left.",
        "Lower maintenance_work_mem or max_parallel_maintenance_workers, then run again.",
    ),
    "54000": (
        "{verb}: some rows have values too long for an index of its kind.",
        "Index a hash of them, or a part: md5(column), left(column, 100).",
    ),
    "55P03": (
        "{verb}: others have held locks on the table each time{waited}.",
        "Run again when they are done, or raise migrate.lock_timeout or migrate.attempts.",
    ),
}
"""By SQLSTATE: the message, after `The index "x" on t`, and what to do."""


def of(
    task: Task,
    index: IndexDefinition,
    error: Exception,
    remains: str = "",
    verb: str = "was not built",
) -> MigrationError | ServerLost:
    """The error that says why the index `verb`; `remains` is what could not be cleaned up."""
    what = f'The index "{index.name}" on {index.table}'
    made: MigrationError | ServerLost
    if isinstance(error, GaveWay):
        made = MigrationError(
            f"{what} {verb}: it gave way each time to a statement of the application that waited "
            f"for its lock, at last to {error.to}.",
            hint="Run again when the application changes less of the table's definition.",
        )
    elif isinstance(error, Changed):
        made = MigrationError(
            f"{what} {verb}: somebody else has changed it each time.",
            hint="Look at the plan again, then run again.",
        )
    elif isinstance(error, ddl.TIMED_OUT):
        made = _timed_out(task, what, verb)
    elif isinstance(error, ddl.ServerError) and ddl.is_lost(error):
        lost = ddl.translate(f"{what} {verb}", error)
        made = ServerLost(lost.message, hint=lost.hint or "Run again: it goes on from there.")
    else:
        made = _refused(task, index, error, verb)
    return type(made)(f"{made.message} {remains}".rstrip(), hint=made.hint)


def taken(wanted: IndexDefinition, found: Index) -> MigrationError:
    """The error for a name that another index has."""
    return MigrationError(
        f'The index "{wanted.name}" exists with another definition: {found.sql}.',
        hint="Declare it under another name, or drop the one that is there.",
    )


def _timed_out(task: Task, what: str, verb: str) -> MigrationError:
    if task.limit.left > 0.1:
        return MigrationError(
            f"{what} {verb}: somebody has cancelled it (pg_cancel_backend).",
            hint="Run again when they agree.",
        )
    return task.late(what, verb, _BLOCKED)


def _refused(task: Task, index: IndexDefinition, error: Exception, verb: str) -> MigrationError:
    what = f'The index "{index.name}" on {index.table}'
    cause = error if isinstance(error, ddl.ServerError) else ddl.ServerError()
    known = _CAUSES.get(cause.sqlstate or "")
    if known is None:
        waited = task.waited()
        answer = ddl.translate(f"{what} {verb}{waited}", cause)
        return MigrationError(answer.message, hint=answer.hint or _MEND)
    place = f'the tablespace "{index.tablespace}"' if index.tablespace else "the tablespace"
    message = known[0].format(verb=verb, tablespace=place, waited=task.waited())
    return MigrationError(f"{what} {message}", hint=known[1])
