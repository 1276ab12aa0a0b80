"""Drops an index concurrently, and nothing that something else needs.

DROP INDEX CONCURRENTLY waits for the transactions that use the table, and makes nobody wait. One
that ends in its middle leaves the index invalid; the next drop goes on. A partitioned table's
index can only be dropped at once, with ACCESS EXCLUSIVE on its table and all partitions, so that
lock is waited for shortly.

Source: PostgreSQL's documentation, DROP INDEX.
"""

from __future__ import annotations

from dbopt.errors import DboptError, MigrationError
from dbopt.migrate import failure, orphans
from dbopt.migrate.names import NEW, is_reindex_leftover, leaf_name
from dbopt.migrate.steps import required, same_index
from dbopt.migrate.task import Task, Tries
from dbopt.migrate.work import Change
from dbopt.pg import ddl, ddltext
from dbopt.pg.catalog import Index
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

_VERB = "was not dropped"
_HINT = "End the long transactions that use its table, then run again."


def drop(task: Task, gone: IndexDefinition) -> bool:
    """Make sure that the index is not there; whether it was.

    Raises MigrationError where it is another one by now, where something needs it, and where it
    cannot be dropped; DeadlinePassed; ServerLost.
    """
    task.grant()
    tries, done = Tries(task), False
    while True:
        try:
            found = ddl.find(task.connection, gone.schema, gone.name)
            if found is None:
                return done
            _check(found, gone)
            if found.valid or not orphans.wait(task, found):
                _drop(task, found)
                done = True
        except BaseException as error:
            _recover(task, gone, tries, error)


def _check(found: Index, gone: IndexDefinition) -> None:
    if not same_index(found.definition, gone):
        raise MigrationError(
            f'The index "{gone.name}" was not dropped: it is another one by now.',
            hint="Look at the plan again, then run again.",
        )
    why = required(found)
    if why:
        raise MigrationError(
            f'The index "{gone.name}" was not dropped: {why}.', hint="Drop what needs it first."
        )


def _drop(task: Task, found: Index) -> None:
    unattached = _unattached(task, found) if found.partitioned else []
    text = ddltext.drop_text(found.definition, concurrently=not found.partitioned)
    task.work.pause()
    change = task.change(text, found.definition, _reverse(found), found)
    task.run(change, patient=not found.partitioned)
    for one in unattached:
        task.run(_leftover(task, one), patient=not one.partitioned)


def _reverse(found: Index) -> str:
    """What makes it again. An invalid leftover has served nobody; a drop that was cut off may
    have made any other one invalid."""
    leftover = NEW in found.name or is_reindex_leftover(found.name)
    if not found.valid and leftover and not found.partitioned:
        return ""
    return found.definition.create_sql(concurrently=not found.partitioned)


def _leftover(task: Task, one: Index) -> Change:
    text = ddltext.drop_text(one.definition, concurrently=not one.partitioned)
    return task.change(text, one.definition, "", one)


def _unattached(task: Task, found: Index) -> list[Index]:
    """The indexes that a killed run has built on partitions, and not attached."""
    rows = task.connection.execute(
        statement("index_partition_tree"), {"table": found.table_oid}
    ).fetchall()
    unattached = []
    for row in rows:
        name = leaf_name(found.definition, row["name"])
        one = ddl.find(task.connection, row["schema"], name)
        if one is not None and one.parent is None and not one.protected:
            unattached.append(one)
    return unattached


def _recover(task: Task, gone: IndexDefinition, tries: Tries, error: BaseException) -> None:
    """Return if it shall be tried again, else raise."""
    if isinstance(error, DboptError):
        raise error
    if not isinstance(error, Exception):
        _stop(task, gone)
        raise error
    if isinstance(error, ddl.GONE) and tries.again(error, ddl.GONE):
        return
    if not tries.again(error):
        made = failure.of(task, gone, error, verb=_VERB)
        if isinstance(error, (*ddl.RETRYABLE, ddl.TIMED_OUT)):
            made = type(made)(made.message, hint=_HINT)
        raise made from None


def _stop(task: Task, gone: IndexDefinition) -> None:
    """A signal came: the server must not go on."""
    if ddl.is_running(task.connection):
        ddl.abandon(task.connection)
    task.work.tell(f'The index "{gone.name}" may be invalid now; the next run drops it.')
