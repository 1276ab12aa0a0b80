"""An index on a partitioned table, without making anybody wait for a build.

CREATE INDEX CONCURRENTLY refuses a partitioned table. So the index is made ON ONLY it, which is
done at once and invalid; each leaf gets its own concurrently; then each is attached, bottom up, and
the parent's turns valid with the last one. ON ONLY takes SHARE on the table and ATTACH takes ACCESS
EXCLUSIVE on the leaf's index: both for a moment, and both are waited for shortly.

Everything is looked at anew in each pass, so a killed run is gone on with, and partitions that came
meanwhile get theirs.

Source: PostgreSQL's documentation, "Table Partitioning", 5.12.2.2, CREATE INDEX, ALTER INDEX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from dbopt.errors import MigrationError, QueryFailed
from dbopt.migrate import build, drop, failure
from dbopt.migrate.parts import foreign, parts
from dbopt.migrate.steps import Action, Step, same_index
from dbopt.migrate.task import Changed, Task, Tries
from dbopt.migrate.watch import GaveWay
from dbopt.migrate.work import Change
from dbopt.pg import catalog, ddl, ddltext
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.pg.connect import Row
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

PASSES = 20
"""How often partitions may come and go meanwhile."""


class _Moved(MigrationError):
    """A partition is none any more, or a name is another's: the tree is looked at anew."""


def ensure(task: Task, wanted: IndexDefinition) -> Action:
    """Make sure that the partitioned table's index exists and is valid; what that took.

    Raises MigrationError, DeadlinePassed, ServerLost: what has been built by then stays, serves
    its partitions, and is used by the next run.
    """
    done = Action.PRESENT
    for _ in range(PASSES):
        tree = _Tree(task, wanted)
        if tree.index is None:
            done = Action.CREATE
            _only(task, wanted)
        elif tree.is_whole:
            return done
        else:
            done = Action.ATTACH if done is Action.PRESENT else done
            with suppress(_Moved):
                tree.grow(tree.index)
    raise MigrationError(
        f'The index "{wanted.name}" on {wanted.table} is not valid yet: partitions come and go.',
        hint="Run again when they stay for a while.",
    )


class _Tree:
    """One pass: the tree as it was, and what its partitions lack."""

    def __init__(self, task: Task, wanted: IndexDefinition) -> None:
        self._task = task
        self._wanted = wanted
        self._here, table = self._read()
        self.index = self._here.indexes_by_name.get((wanted.schema, wanted.name))
        if self.index is not None and not same_index(self.index.definition, wanted):
            raise failure.taken(wanted, self.index)
        self._parts = parts(wanted, self.index, table, self._here)
        self._count = sum(_missing(step) for step in self._parts)
        self._number = 0

    def _read(self) -> tuple[Catalog, Table]:
        wanted, connection = self._wanted, self._task.connection
        row = ddl.resolve(connection, wanted)
        if row is None:
            raise _gone(wanted)
        here = self._catalog(row["oid"])
        table = here.by_oid.get(row["oid"])
        if table is None:
            raise _gone(wanted)
        odd = foreign(table, here)
        if odd is not None:
            raise MigrationError(
                f'The index "{wanted.name}" cannot be made in steps: {odd} has partitions that '
                "are foreign tables or an extension's, so it would never be valid.",
                hint="Declare it on each of the other partitions.",
            )
        return here, table

    def _catalog(self, table: int) -> Catalog:
        name = (self._wanted.schema, self._wanted.name)
        tries = Tries(self._task)
        while True:
            try:
                return catalog.read(self._task.connection, {table}, {name})
            except QueryFailed as error:
                # Somebody has locked the table for a while.
                if not tries.again(error, (QueryFailed,)):
                    raise

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing any more."""
        valid = self.index is not None and self.index.valid
        return valid and all(step.action is Action.PRESENT for step in self._parts)

    def grow(self, index: Index) -> None:
        """Do what is missing below the index."""
        if self._parts:
            self._below(index.definition, index.valid, self._parts)
            return
        # Its partitions have gone, and nothing else can make it valid.
        drop = ddltext.drop_text(index.definition, concurrently=False)
        change = self._task.change(drop, index.definition, "", index)
        _short(self._task, change, "was not dropped", (Changed,))

    def _below(self, parent: IndexDefinition, valid: bool, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.action is Action.CONFLICT:
                raise self._conflict(step)
            if step.action is not Action.PRESENT:
                self._part(parent, step)
        if not valid and steps and all(step.action is Action.PRESENT for step in steps):
            # All are attached and valid: to attach one again makes the server look again.
            _attach(self._task, parent, steps[0].definition)

    def _part(self, parent: IndexDefinition, step: Step) -> None:
        """Do what a partition needs. Raises _Moved where that is no reason to fail."""
        table = self._here.tables_by_name[step.definition.schema, step.definition.table]
        still = partial(self._still, table)
        still()
        try:
            self._make(parent, step, still)
        except MigrationError:
            try:
                still()
            except _Moved:
                self._take_back(table, step)
                raise
            raise

    def _still(self, table: Table) -> None:
        """Raise _Moved unless the table is the partition that it was."""
        if self._place(table) != {"schema": table.schema, "name": table.name}:
            raise _Moved

    def _place(self, table: Table) -> Row | None:
        wanted = {"table": table.oid, "parent": table.parent}
        return self._task.connection.execute(statement("index_partition"), wanted).fetchone()

    def _take_back(self, table: Table, step: Step) -> None:
        """Drop what was made for a partition that has become a table of its own meanwhile."""
        task, made = self._task, step.definition
        if step.action is Action.CREATE and self._place(table) is None:
            drop.drop(task, made)

    def _make(self, parent: IndexDefinition, step: Step, still: Callable[[], None]) -> None:
        definition, task = step.definition, self._task
        if self._is_partitioned(definition):
            if step.action is Action.CREATE and not _only(task, definition):
                raise _Moved
            valid = step.existing is not None and step.existing.valid
            self._below(definition, valid, step.partitions)
        elif step.action is not Action.ATTACH:
            self._number += 1
            task.part = (self._number, self._count)
            task.work.deadline.check(f'The index "{definition.name}"')
            build.ensure(task, definition, still)
        _attach(task, parent, definition)

    def _is_partitioned(self, definition: IndexDefinition) -> bool:
        return self._here.tables_by_name[definition.schema, definition.table].partitioned

    def _conflict(self, step: Step) -> MigrationError:
        return MigrationError(
            f'The index "{self._wanted.name}" lacks one on the partition '
            f"{step.definition.table}: {step.reason}.",
            hint="Rename what has the name.",
        )


def _missing(step: Step) -> int:
    """How many leaves have to be built."""
    if step.partitions:
        return sum(map(_missing, step.partitions))
    return step.action in {Action.CREATE, Action.REBUILD, Action.BUSY}


def _only(task: Task, definition: IndexDefinition) -> bool:
    """CREATE INDEX ON ONLY. False where something has the name by now: see the next pass."""
    text = ddltext.create_only_text(definition)
    reverse = ddltext.drop_text(definition, concurrently=False)
    return _short(task, task.change(text, definition, reverse), "was not made", (ddl.TAKEN,))


def _attach(task: Task, parent: IndexDefinition, child: IndexDefinition) -> None:
    """ATTACH PARTITION. What is gone by now is looked at in the next pass."""
    _short(
        task, task.change(ddltext.attach_text(parent, child), child), "was not attached", ddl.GONE
    )


def _short(task: Task, change: Change, verb: str, passed: tuple[type[Exception], ...] = ()) -> bool:
    """Run a statement that others queue behind; False for errors that the next pass mends."""
    task.grant()
    tries = Tries(task)
    while True:
        try:
            task.work.pause()
            task.run(change, patient=False)
            return True
        except passed:
            return False
        except (ddl.ServerError, GaveWay) as error:
            if not tries.again(error):
                raise failure.of(task, change.definition, error, verb=verb) from None


def _gone(wanted: IndexDefinition) -> MigrationError:
    return MigrationError(
        f'The table {wanted.table} of index "{wanted.name}" is gone.',
        hint="Create it again, or take the index out of the declared ones.",
    )
