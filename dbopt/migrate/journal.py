"""The journal of a run, kept in the store: who changed which index, when, with what outcome.

The store may be away, at any moment: then one warning, and the run goes on. What could not be
written is kept and written at the next chance, after a while; what is left at the end is told.
"""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import dbopt
from dbopt import clock
from dbopt.errors import DboptError, QueryFailed
from dbopt.migrate.changes import Created, Dropped, Read, Renamed, read_changes
from dbopt.migrate.plan import same_index
from dbopt.migrate.work import Change
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement
from dbopt.settings import Settings
from dbopt.sql.indexdef import IndexDefinition, parse_index
from dbopt.store import indexruns
from dbopt.store.indexruns import IndexRun, IndexStep, Managed, Place
from dbopt.store.link import StoreLink

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Of a run's id: none that is taken for another."""
_TRIES = 8
"""Ids tried: two runs that begin in one minute seldom have the same."""
_Key = tuple[str, ...]
_Write = Callable[[Connection], None]

_log = logging.getLogger("dbopt.migrate")


def new_id(now: datetime) -> str:
    """A run's id that people can type: 20261123-0412-k3, in UTC."""
    end = "".join(secrets.choice(_LETTERS) for _ in range(2))
    return f"{now.astimezone(UTC):%Y%m%d-%H%M}-{end}"


def target_of(settings: Settings, connection: Connection) -> Place:
    """The target as the history of the daemon names it: server.name, else the server's address.

    Raises QueryFailed or ServerLost.
    """
    with translated("Reading the server's version and settings"):
        row = connection.execute(statement("server_info")).fetchone()
    assert row is not None  # noqa: S101 - one row always
    server = settings.server.name or row["address"]
    return Place(server, row["database"], _system_identifier(connection))


def _system_identifier(connection: Connection) -> str:
    """Which cluster it is; "" where the role may not ask, or the server has no such function."""
    try:
        with translated("Asking for the system identifier"):
            row = connection.execute(statement("system_identifier")).fetchone()
    except QueryFailed:
        return ""
    return row["id"] if row else ""


def open_run(
    settings: Settings,
    connection: Connection,
    *,
    command: str,
    of_run: str = "",
    tell: Callable[[str], None] = _log.warning,
    storeless: DboptError | None = None,
) -> StoreJournal:
    """The journal of a new run; what killed runs of the target left is marked as interrupted.

    `connection` is to the served database and holds its migration lock; the journal asks it for
    sizes. `storeless`: why the store's schema could not be made, which is then told as the cause.
    Never raises for the store, only QueryFailed or ServerLost of the served database.
    """
    target = target_of(settings, connection)
    now = datetime.now(UTC)
    run = IndexRun(
        new_id(now), target, now, command, role=connection.info.user, os_user=_os_user(),
        host=socket.gethostname(), pid=os.getpid(),
        application=connection.info.get_parameters().get("application_name", "dbopt"),
        version=dbopt.__version__, of_run=of_run,
    )  # fmt: skip
    journal = StoreJournal(
        settings.store_dsn, run, connection, tell, settings.index.project, storeless
    )
    journal.mark_killed()
    return journal


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


class StoreJournal:
    """A `work.Journal` in the store, and the register of what dbopt manages.

    The run is written down once it has something to do, or has failed: of many replicas that start
    at once, most find all as declared, and leave nothing.

    `served` is asked for the sizes of indexes: set it anew where its connection is. Not for several
    threads. No method raises for what the store does: `tell` gets one line, once.
    """

    def __init__(
        self,
        dsn: str,
        run: IndexRun,
        served: Connection | None = None,
        tell: Callable[[str], None] = _log.warning,
        project: str = "",
        storeless: DboptError | None = None,
    ) -> None:
        self.run = run
        self._project = project
        self._link = StoreLink(dsn)
        self.served = served
        self._tell = tell
        self._told = False
        self._storeless = storeless
        self._steps: dict[int, tuple[IndexStep, float]] = {}
        self._todo: dict[_Key, _Write] = {}
        self.begun = False
        """Whether the run is to be found in the store."""

    def mark_killed(self) -> None:
        """Mark the runs of the target that were killed."""
        self._todo[("killed",)] = self._interrupt
        self._flush()

    def begin(self) -> None:
        """Write the run down: from now on others see that it works. Its id may become another."""
        if not self.begun:
            self._note_run()
            self._flush()

    def _note_run(self) -> None:
        self._todo = {("run",): self._write_run, **self._todo}  # the steps need it
        if not self.begun:
            self._todo[("expire",)] = indexruns.expire
        self.begun = True

    def began(self, change: Change) -> int:
        """Note that the statement is about to run; the number to give to `ended`."""
        self.begin()
        number = len(self._steps) + 1
        definition = change.definition
        step = IndexStep(
            number, change.action.value, definition.schema, definition.table, definition.name,
            definition.create_sql(concurrently=False), change.sql, datetime.now(UTC),
            change.reverse,
        )  # fmt: skip
        self._steps[number] = step, clock.monotonic()
        self._put_step(step)
        self._flush()
        return number

    def ended(self, number: int, outcome: str, message: str = "") -> None:
        """Note its end, as `work.Journal` has it."""
        step, began = self._steps[number]
        reads = _read(step.sql) if outcome == "done" else []
        step = replace(
            step, outcome=outcome, message=message, ended=datetime.now(UTC),
            duration_ms=(clock.monotonic() - began) * 1000, size_bytes=self._size(reads),
        )  # fmt: skip
        self._steps[number] = step, began
        self._put_step(step)
        for read in reads:
            self._register(read, step)
        self._flush()

    def managed(self, there: Iterable[Index] | None = None) -> set[tuple[str, str]]:
        """The indexes that dbopt manages for the project; none where the store is away.

        As (schema, name).

        `there`: the catalog's indexes. Given them, one that has another meaning by now than the
        one that was managed is left out: somebody has made it under the old one's name.
        """
        known = self._known("so none is dropped") or ()
        found = [one for one in known if one.project == self._project]
        if there is None:
            return {(one.schema, one.name) for one in found}
        return still_managed(found, there)

    def note_present(self, definitions: Iterable[IndexDefinition]) -> None:
        """Note that these are there as declared: dbopt manages them from now on.

        One that is managed already stays the run's that made it.
        """
        found = self._known("and none is noted")
        if found is None:
            return
        known = {(one.schema, one.name): one.sql for one in found}
        for one in definitions:
            if not _means(known.get((one.schema, one.name), ""), one):
                self._manage(one, one.table, made=False)
        self._flush()

    def _known(self, then: str) -> list[Managed] | None:
        """What the store says is managed; None while it is away."""
        if self._link.resting:
            return None
        try:
            return self._link.use(lambda conn: indexruns.managed(conn, self.run.target))
        except (DboptError, ServerError) as error:
            self._warn(f"Which indexes dbopt manages is not known, {then}", error)
            return None

    def mark(self, run: str, outcome: str) -> None:
        """Note what another run has come to: "rolled back" as a whole, or "done" again."""
        self.begin()
        self._todo[("outcome", run)] = lambda conn: indexruns.set_outcome(conn, run, outcome)
        self._flush()

    def close(self, outcome: str, message: str = "") -> bool:
        """Note the run's end; whether all of it is in the store. `outcome` as IndexRun has it.

        A run that had nothing to do, and has done it, is not there.
        """
        self.run = replace(self.run, outcome=outcome, message=message, ended=datetime.now(UTC))
        if self.begun or outcome != "done":
            self._note_run()
            self._flush(last=True)
        self._link.close()
        for key in ("expire", "killed"):  # the next run will; this one is whole without
            self._todo.pop((key,), None)
        if self._todo:
            steps = sum(key[0] == "step" for key in self._todo)
            lacks = f"its end and {steps} of its {len(self._steps)} steps"
            whole = f" whole: the store lacks {lacks}" if self._steps else ""
            self._tell(f"The run {self.run.id} is not recorded{whole}.")
        return not self._todo

    def _put_step(self, step: IndexStep) -> None:
        self._todo[("step", str(step.number))] = lambda conn: indexruns.write_step(
            conn, self.run.id, step
        )

    def _write_run(self, connection: Connection) -> None:
        for _ in range(_TRIES):
            if indexruns.write_run(connection, self.run):
                return
            self.run = replace(self.run, id=new_id(self.run.began))
        raise QueryFailed(
            "The store takes no new run: what is written does not arrive.",
            hint="Look for triggers and rules on dbopt.index_run.",
        )

    def _interrupt(self, connection: Connection) -> None:
        for killed in indexruns.interrupt(connection, self.run.target, self.run.id):
            self._tell(f"The run {killed} was killed before it ended; what it left is looked at.")

    def _register(self, read: Read, step: IndexStep) -> None:
        if isinstance(read, Dropped | Renamed):
            self._forget(read.name)
        if self.run.of_run:
            # What a rollback restores may be somebody's own, and the next apply must not drop what
            # was just brought back: it is left alone until a file declares it.
            return
        if isinstance(read, Created):
            self._manage(read.definition, step.table, made=True)
        elif isinstance(read, Renamed) and read.name == (step.schema, step.index):
            # Of two renames in one, the other is of an index that steps aside to go.
            schema, name = read.to
            definition = replace(parse_index(step.definition), schema=schema, name=name)
            self._manage(definition, step.table, made=True)

    def _manage(self, definition: IndexDefinition, table: str, *, made: bool) -> None:
        one = Managed(
            definition.schema, definition.name, table, definition.create_sql(concurrently=False),
            "", datetime.now(UTC), self._project,
        )  # fmt: skip
        self._todo[("managed", one.schema, one.name)] = lambda conn: indexruns.manage(
            conn, self.run.target, replace(one, run=self.run.id if made else "")
        )

    def _forget(self, name: tuple[str, str]) -> None:
        self._todo[("managed", *name)] = lambda conn: indexruns.forget(conn, self.run.target, *name)

    def _size(self, reads: list[Read]) -> int | None:
        """Bytes of the index that a step has left; None where it left none, or they are unknown."""
        name = next((_left(read) for read in reversed(reads) if _left(read)), None)
        if name is None or self.served is None or self.served.broken:
            return None
        try:
            params = {"schema": name[0], "name": name[1]}
            row = self.served.execute(statement("index_size"), params).fetchone()
        except ServerError:
            return None
        return row["bytes"] if row else None

    def _flush(self, last: bool = False) -> None:
        if not last and self._link.resting:
            return
        try:
            self._link.use(self._write)
            self._storeless = None  # somebody has made it
        except (DboptError, ServerError) as error:
            self._warn("What this run does is not recorded for now", error)

    def _write(self, connection: Connection) -> None:
        """Write what waits, in order. What is refused by itself does not hold up the rest."""
        refused: QueryFailed | None = None
        for key, write in list(self._todo.items()):
            try:
                write(connection)
                del self._todo[key]
            except QueryFailed as error:
                refused = error
                if key == ("run",):  # the steps need it
                    break
        if refused:
            raise refused

    def _warn(self, what: str, error: Exception) -> None:
        if not self._told:
            error = self._storeless or error
            reason = str(error) if isinstance(error, DboptError) else type(error).__name__
            self._tell(f"{what}. The store: {reason}")
        self._told = True


def _read(sql: str) -> list[Read]:
    try:
        return read_changes(sql)
    except DboptError:
        return []


def _left(read: Read) -> tuple[str, str] | None:
    if isinstance(read, Renamed):
        return read.to
    return read.name if isinstance(read, Created) else None


def still_managed(known: Iterable[Managed], there: Iterable[Index]) -> set[tuple[str, str]]:
    """Schema and name of those that are there with the meaning that they were managed with."""
    actual = {(index.definition.schema, index.name): index for index in there}
    return {
        (one.schema, one.name)
        for one in known
        if (found := actual.get((one.schema, one.name))) and _means(one.sql, found.definition)
    }


def _means(sql: str, definition: IndexDefinition) -> bool:
    if sql == definition.create_sql(concurrently=False):
        return True  # as it is mostly: of thousands, none is parsed
    try:
        return bool(sql) and same_index(parse_index(sql), definition)
    except DboptError:
        return False
