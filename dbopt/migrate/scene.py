"""The database as a run sees it: its session, the declared indexes as the server writes them, the
plan, and one step of it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Self

from dbopt.errors import MigrationError, MigrationRefused, QueryFailed, TableLocked
from dbopt.migrate import declared
from dbopt.migrate.declared import Declared
from dbopt.migrate.leftovers import on_declared_tables
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.plan import make_plan
from dbopt.migrate.selection import Name, name_of
from dbopt.migrate.steps import Action, Step, Wanted
from dbopt.pg import catalog, ddl
from dbopt.pg.catalog import Catalog, Index
from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translated

Managing = Callable[[Iterable[Index]], Collection[Name]]
"""Which of these indexes dbopt manages, and may drop."""


def nothing_managed(there: Iterable[Index]) -> Collection[Name]:
    """No register: nothing is dropped by itself."""
    return ()


class Scene:
    """See the module. `open_` gives a direct session; it is opened again where it was lost.

    `prune` and `asked` are make_plan's.
    """

    def __init__(
        self,
        open_: Callable[[], Connection],
        found: Sequence[Declared],
        *,
        prune: bool = False,
        asked: Collection[str] = (),
        project: str = "",
    ) -> None:
        self._open = open_
        self._found = found
        self._prune = prune
        self._asked = asked
        self._project = project
        self._connection: Connection | None = None
        self._wanted: list[Wanted] | None = None
        self._managed: Collection[Name] = ()
        self.catalog: Catalog | None = None
        """The whole catalog as of the last `plan`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            # A signal came in the middle of a statement: it must not run on.
            if ddl.is_running(self._connection):
                ddl.abandon(self._connection)
            self._connection.close()

    @property
    def connection(self) -> Connection:
        """The session that the steps are done with. Raises ConnectError while there is no server"""
        if self._connection is None or self._connection.closed:
            self._connection = self._open()
        return self._connection

    @property
    def declares(self) -> bool:
        """Whether any index is declared at all."""
        return bool(self._found)

    def answers(self) -> None:
        """Raise ServerLost or ConnectError unless the server answers the session, or a new one."""
        with translated("Asking whether the server is there"):
            self.connection.execute("SELECT 1")

    def plan(self, managing: Managing = nothing_managed) -> list[Step]:
        """What every declared index needs, then the drops.

        Raises MigrationRefused where the server cannot have a declared index: its table is not
        there, its expression is wrong, or it may not be tried; TableLocked where a
        declared table is locked by somebody. Raises ServerLost, ConnectError and QueryFailed.
        """
        self._canonical()
        self.catalog = whole = self._read()
        self._managed = self._ours(managing(whole.indexes), whole)
        return self._made(whole)

    def again(self, step: Step) -> Step | None:
        """The same step by what is there now; None where there is no more to drop.

        The whole table is planned: two of its indexes may have to change names.
        """
        definition = step.definition
        with translated(f"Looking at the table {definition.table}"):
            row = ddl.resolve(self.connection, definition)
        if row is None:
            if step.action is Action.DROP:
                return None
            raise MigrationError(
                f'The table {definition.table} of index "{definition.name}" is gone.',
                hint="Create it again, or take the index out of the declared ones.",
            )
        here = self._read({row["oid"]}, self._names(step))
        steps = self._made(here)
        drops = step.action is Action.DROP
        same = (s for s in steps if name_of(s) == name_of(step))
        return next((s for s in same if drops == (s.action is Action.DROP)), None)

    def _read(self, only: Collection[int] | None = None, names: Collection[Name] = ()) -> Catalog:
        """The catalog, but for tables without a declaration that somebody has locked."""
        wanted = (one.definition for one in self._canonical())
        tables = {(one.schema, one.table) for one in wanted}
        try:
            needed = tables if only is None else None
            return catalog.read(self.connection, only, names, needed=needed)
        except QueryFailed as error:
            if holders := catalog.holders(self.connection, tables):
                raise TableLocked(
                    f"{error.message} {holders} (ACCESS EXCLUSIVE).",
                    hint="Wait for it to end, or end it, and run again.",
                ) from None
            raise

    def _canonical(self) -> list[Wanted]:
        if self._wanted is None:
            try:
                with translated("Reading the declared indexes"):
                    self._wanted = declared.wanted(self.connection, self._found)
            except TableLocked:
                raise
            except (MigrationError, QueryFailed) as error:
                raise MigrationRefused(error.message, hint=error.hint) from None
        return self._wanted

    def _ours(self, managed: Collection[Name], here: Catalog) -> Collection[Name]:
        if self._project or not self._found:
            return managed
        return on_declared_tables(managed, self._canonical(), here)

    def _made(self, here: Catalog) -> list[Step]:
        return make_plan(
            self._canonical(), here, managed=self._managed, prune=self._prune, asked=self._asked
        )

    def _names(self, step: Step) -> set[Name]:
        """The names that indexes of the step's table have or get, if only for a moment: who else
        has one is looked at.
        """
        on = (step.definition.schema, step.definition.table)
        found = (wanted.definition for wanted in self._canonical())
        names = {(one.schema, one.name) for one in found if (one.schema, one.table) == on}
        names |= {name_of(step)}
        made = {(schema, of(name)) for schema, name in names for of in (new_name, old_name)}
        return names | made
