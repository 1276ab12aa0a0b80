"""`dbopt index rollback`: takes back what a run did, by a run of its own.

Same lock, same operations, same journal as an apply; only the plan is another one: see `undo.py`.
Nothing of the store's text is run: it is read, and compared with the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbopt.errors import EXIT_OK, EXIT_PARTIAL, DboptError, QueryFailed, UsageError
from dbopt.migrate.changes import Name
from dbopt.migrate.declared import Declared, declared
from dbopt.migrate.effect import Effect, effect_of
from dbopt.migrate.journal import StoreJournal, target_of
from dbopt.migrate.lockguard import direct_session
from dbopt.migrate.outcome import Applied, Outcome
from dbopt.migrate.plan import Action, Step
from dbopt.migrate.progress import Report
from dbopt.migrate.run import Options, Run, Stepping
from dbopt.migrate.scene import Managing, Scene, nothing_managed
from dbopt.migrate.selection import TAKING, name_of
from dbopt.migrate.undo import Undo, undos
from dbopt.pg import catalog, trusted
from dbopt.pg.connect import Connection
from dbopt.settings import Settings
from dbopt.store import indexruns
from dbopt.store.indexruns import IndexRun, IndexStep, Managed, Place
from dbopt.store.link import connect_store

_TAKEN_BACK = "rolled back"
"""The outcome of a run that was taken back as a whole."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What would take a run back: an Undo for each index that it changed."""

    run: IndexRun
    undos: tuple[Undo, ...]

    @property
    def doing(self) -> tuple[Undo, ...]:
        """Those that change something."""
        return tuple(undo for undo in self.undos if undo.step is not None)

    @property
    def stuck(self) -> tuple[Undo, ...]:
        """Those that are left alone, though they are not as before the run."""
        return tuple(undo for undo in self.undos if undo.step is None and not undo.settled)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {"run": self.run.to_dict(), "undo": [undo.to_dict() for undo in self.undos]}


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What became of a rollback. `again` is what the next apply would do to the same indexes, as
    the declared files stand; None where they, or the database, could not be read.
    """

    applied: Applied
    rollback: Rollback
    again: tuple[Step, ...] | None = ()

    @property
    def exit_code(self) -> int:
        """As `Applied.exit_code`; partly done too where something had to be left alone."""
        return self.applied.exit_code or (EXIT_PARTIAL if self.rollback.stuck else EXIT_OK)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        again = None if self.again is None else [step.to_dict() for step in self.again]
        left_alone = [undo.to_dict() for undo in self.rollback.stuck]
        return {
            **self.applied.to_dict(),
            "of_run": self.rollback.run.id,
            "left_alone": left_alone,
            "again": again,
        }


@dataclass(slots=True)
class _Record:
    """What the store has of a run; `managed` are the indexes of its target that dbopt manages."""

    run: IndexRun
    steps: tuple[IndexStep, ...]
    managed: tuple[Managed, ...]
    effect: Effect | None = None

    def undos(self, there: catalog.Catalog) -> list[Undo]:
        if self.effect is None:
            self.effect = effect_of(self.steps, there)
        since = (one for one in self.managed if one.run and one.since >= self.run.began)
        made_by = {(one.schema, one.name): one.run for one in since}
        found = undos(self.effect, there, made_by, self.run.id)
        return [_kept(undo) for undo in found] if self.run.outcome == _TAKEN_BACK else found


def _kept(undo: Undo) -> Undo:
    """Nothing that the run has made is left: what looks like it has come since."""
    if undo.step is None or undo.step.action not in TAKING:
        return undo
    reason = "the run was taken back; this one has come since"
    return replace(undo, step=None, reason=reason, settled=True)


def preview(settings: Settings, run: str) -> Rollback:
    """What a rollback of the run would do now; nothing is changed, no lock is taken.

    Raises UsageError where the store has no such run or it was another database's, StoreMissing,
    ConnectError, AuthenticationError, ConfigError, ServerLost, QueryFailed.
    """
    with direct_session(settings) as connection:
        record = _read(settings, run, connection)
        return Rollback(record.run, tuple(_checked(connection, record)))


def roll_back(
    settings: Settings,
    shown: Rollback,
    *,
    deadline: float | None = None,
    wait: float | None = None,
    report: Report | None = None,
    tell: Callable[[str], None] = lambda line: None,
    stepping: Stepping | None = None,
) -> RolledBack:
    """Take a run back, as far as it was shown and still can be.

    `deadline` and `wait` are seconds and stand in for migrate.deadline and migrate.lock_wait.
    What has changed since it was shown is looked at anew; no index is taken away that was not in
    it. Raises as `preview` and `run.apply` do.
    """
    options = Options(
        found=(),
        deadline=deadline,
        wait=wait,
        shown=frozenset(name_of(undo.step) for undo in shown.doing if undo.step),
        command=f"dbopt index rollback {shown.run.id}",
        of_run=shown.run.id,
    )
    run = _Undoing(settings, options, report=report, tell=tell, stepping=stepping)
    applied = run.go()
    return RolledBack(applied, run.rollback, _again(settings, shown))


def _read(settings: Settings, run: str, connection: Connection) -> _Record:
    target = target_of(settings, connection)
    with connect_store(settings.store_dsn) as store:
        found = indexruns.run_of(store, run)
        if found is None:
            raise UsageError(
                f'The store has no run "{run}".', hint="`dbopt index runs` lists them."
            )
        _require_there(found, target)
        steps, managed = indexruns.steps(store, run), indexruns.managed(store, target)
    return _Record(found, tuple(steps), tuple(managed))


def _require_there(run: IndexRun, here: Place) -> None:
    """Raise UsageError where a run was on another database than `here`."""
    there = run.target
    if (there.server, there.database) != (here.server, here.database):
        raise UsageError(
            f"The run {run.id} was on {there.database} of {there.server}, and this is "
            f"{here.database} of {here.server}.",
            hint="Give the server that it was on (--dsn), and its server.name.",
        )
    known = there.system_identifier and here.system_identifier
    if known and there.system_identifier != here.system_identifier:
        raise UsageError(
            f"The run {run.id} was on another server that is called {there.server} too, or before "
            "this one was made anew (pg_upgrade, a dump): its system identifier is another.",
            hint="Give the server that it was on (--dsn). What undoes each step is shown by "
            f"`dbopt index runs {run.id}`.",
        )


def _checked(connection: Connection, record: _Record) -> list[Undo]:
    """The undos, without those whose expressions would run code of a role that is not trusted."""
    return [_trusted(connection, undo) for undo in record.undos(catalog.read(connection))]


def _trusted(connection: Connection, undo: Undo) -> Undo:
    if undo.step is None or undo.step.action is Action.DROP:
        return undo
    try:
        foreign = trusted.foreign_code(connection, undo.step.definition)
    except QueryFailed as error:
        return replace(undo, step=None, reason=error.message)
    if not foreign:
        return undo
    reason = f"it would run what another role has made: {', '.join(foreign)}; declare it instead"
    return replace(undo, step=None, reason=reason)


class _UndoScene(Scene):
    """The steps are those that take a run back."""

    def __init__(self, open_: Callable[[], Connection], record: _Record) -> None:
        super().__init__(open_, ())
        self._record = record
        self.undos: list[Undo] = []

    def plan(self, managing: Managing = nothing_managed) -> list[Step]:
        self.undos = _checked(self.connection, self._record)
        return [undo.step for undo in self.undos if undo.step is not None]

    def again(self, step: Step) -> Step | None:
        now = (undo.step for undo in _checked(self.connection, self._record) if undo.step)
        return next((one for one in now if name_of(one) == name_of(step)), None)


class _Undoing(Run):
    """A run that takes another one back."""

    @property
    def rollback(self) -> Rollback:
        """What it found to do when it looked last."""
        return Rollback(self._record.run, tuple(self._undos))

    def _open_scene(self, found: Sequence[Declared]) -> Scene:
        # Under the lock: the run that is taken back has ended, or was killed.
        self._record = _read(self._settings, self._options.of_run, self._guard.connection)
        self._undos: list[Undo] = []
        self._undoing = _UndoScene(self._session, self._record)
        return self._undoing

    def _close(self, why: str = "") -> None:
        self._undos = self._undoing.undos
        whole = self.applied.outcome is Outcome.DONE and not self.rollback.stuck
        if whole and isinstance(self._journal, StoreJournal):
            run = self._record.run
            self._journal.mark(run.id, _TAKEN_BACK)
            if run.of_run:  # It was a rollback: what it took back holds again.
                self._journal.mark(run.of_run, "done")
        super()._close(why)


def _again(settings: Settings, shown: Rollback) -> tuple[Step, ...] | None:
    """What the next apply would do to the indexes that were taken back."""
    names = set(_names(shown.doing))
    try:
        with Scene(lambda: direct_session(settings), declared(settings)) as scene:
            # Nothing is managed of what a rollback brings back (journal.py).
            steps = scene.plan()
    except DboptError:
        return None
    return tuple(
        step for step in steps if step.action is not Action.PRESENT and name_of(step) in names
    )


def _names(found: Iterable[Undo]) -> Iterator[Name]:
    """The names before the run and after it."""
    for undo in found:
        yield undo.key
        if undo.step is not None and undo.step.existing is not None:
            yield undo.step.existing.definition.schema, undo.step.existing.name
