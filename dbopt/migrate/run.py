"""A run: from the declared indexes to a database that has exactly those, whatever happens.

The order: a direct session to a server that can be changed, the migration lock, the journal, the
plan, a look at what would forbid it, the steps, each looked at anew before it is done, and the
plan once more. A failed step stops no other; a lost server is waited for; what a signal ends in
the middle is cleaned up by the operation, told here, and gone on with by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from dbopt import clock
from dbopt.errors import DboptError, DeadlinePassed, MigrationBusy
from dbopt.migrate import estimate, operations, preflight, selection, verify
from dbopt.migrate.declared import Declared, declared
from dbopt.migrate.journal import StoreJournal, open_run
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.migrate.outcome import Applied, Failed, Outcome
from dbopt.migrate.patience import Patience, is_lost
from dbopt.migrate.progress import Report
from dbopt.migrate.runoptions import ADDING, ALL, Options, Stepping
from dbopt.migrate.scene import Scene
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.throttle import Throttle
from dbopt.migrate.work import Built, Deadline, Journal, Unrecorded, Work
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.ddl import ServerError, translate
from dbopt.settings import Settings
from dbopt.sql.findings import Finding

__all__ = ["ADDING", "ALL", "Options", "Run", "Stepping", "apply"]

_DEFAULT = Options()
PASSES = 3
"""How often a run looks again at what is left, and goes on, while that changes something."""
_NEW = frozenset({Action.CREATE, Action.REBUILD, Action.REPLACE, Action.ATTACH})
"""Actions after which the planner has an index that it did not have."""


def _silent(line: str) -> None:
    """Nobody listens."""


def apply(
    settings: Settings,
    options: Options = _DEFAULT,
    *,
    report: Report | None = None,
    tell: Callable[[str], None] = _silent,
    stepping: Stepping | None = None,
    guard: Guard | None = None,
) -> Applied:
    """Make the declared indexes exist, as `options` say; returns what became of each.

    `report` is called from another thread while an index is built, `tell` takes one line for
    people. `guard` is a lock that the caller holds already.

    Raises MigrationRefused before anything was changed, MigrationBusy while another run works,
    DeclarationError, UsageError (--only), ConnectError, AuthenticationError, ConfigError. What
    fails later is in the answer: see `Applied.raise_for_failure`.
    """
    return Run(settings, options, report=report, tell=tell, stepping=stepping).go(guard)


class Run:
    """One run. `applied` tells at any time what it has done, also after `go` has raised."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        report: Report | None = None,
        tell: Callable[[str], None] = _silent,
        stepping: Stepping | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._report = report
        self._tell = tell
        self._stepping = stepping
        granted = options.deadline if options.deadline is not None else settings.migrate.deadline
        self._deadline = Deadline.after(granted)
        self._wait = settings.migrate.lock_wait if options.wait is None else options.wait
        self._steps: list[Step] = []
        self._undone: list[Step] = []
        self._left: list[Step] | None = None
        self._failing: set[selection.Name] = set()
        self._is_set_up = False
        self._storeless: DboptError | None = None
        self._journal: Journal = Unrecorded()
        self.applied = Applied(outcome=Outcome.FAILED)
        """What has become of it until now."""

    def go(self, guard: Guard | None = None) -> Applied:
        """Do it, under the lock of `guard` or of its own. Raises as `apply` does."""
        options = self._options
        found = declared(self._settings) if options.found is None else options.found
        with ExitStack() as stack:
            try:
                self._set_up(stack, guard, found)
                self._do()
            except BaseException as error:
                self._ended_by(error)
                raise
            self._close()
        return self.applied

    # The lock, the sessions and the journal.

    def _set_up(self, stack: ExitStack, guard: Guard | None, found: Sequence[Declared]) -> None:
        limits = self._settings.migrate
        self._guard = guard or self._locked(stack)
        self._scene = stack.enter_context(self._open_scene(found))
        self._throttle = stack.enter_context(Throttle(self._session, limits, self._tell))
        self._patience = self._patient(self._back)
        self._journal = self._patience.lasting(self._opened, "The record")
        self._is_set_up = True

    def _open_scene(self, found: Sequence[Declared]) -> Scene:
        options = self._options
        project = self._settings.index.project
        return Scene(self._session, found, prune=options.prune, asked=options.only, project=project)

    def _session(self) -> Connection:
        return direct_session(self._settings)

    def _locked(self, stack: ExitStack) -> Guard:
        guard = stack.enter_context(Guard(self._session, self._waits_for))
        if self._options.prepare is not None and self._options.record:
            self._storeless = self._options.prepare()
        ends = clock.monotonic() + min(self._wait, self._deadline.left)
        patience = self._patient(guard.answers)
        patience.lasting(lambda: guard.take(max(0.0, ends - clock.monotonic())), "The lock")
        return guard

    def _patient(self, back: Callable[[], None]) -> Patience:
        return Patience(back, self._tell, self._deadline, self._settings.migrate.attempts)

    def _waits_for(self, holder: str) -> None:
        self._tell(f"Waiting for another migration: {holder}.")

    def _back(self) -> None:
        """All as it was before the server went away: the session, and the lock."""
        self._scene.answers()
        self._guard.ensure(min(self._wait, self._deadline.left))

    def _opened(self) -> Journal:
        if not self._options.record:
            return Unrecorded()
        connection, options = self._guard.connection, self._options
        return open_run(
            self._settings,
            connection,
            command=options.command,
            of_run=options.of_run,
            tell=self._tell,
            storeless=self._storeless,
        )

    def _begin(self) -> None:
        """Let others see the run: in the store, and as the name of whom they wait for."""
        if isinstance(self._journal, StoreJournal):
            self._journal.begin()
            self._guard.call(f"dbopt run {self._journal.run.id}")
            self._note_id(self._journal)

    def _note_id(self, journal: StoreJournal) -> None:
        self.applied = replace(self.applied, run=journal.run.id if journal.begun else "")

    def _close(self, why: str = "") -> None:
        """End the record; `why` is what has ended the run, if not its steps."""
        if isinstance(self._journal, StoreJournal):
            error = self.applied.error()
            self._journal.close(self.applied.recorded, why or (error.message if error else ""))
            self._note_id(self._journal)

    def _ended_by(self, error: BaseException) -> None:
        """An error, or a signal, has ended the run before its end."""
        cancelled = not isinstance(error, Exception)
        outcome = Outcome.PARTLY if self.applied.changed else Outcome.FAILED
        outcome = Outcome.CANCELLED if cancelled else outcome
        self.applied = replace(self.applied, left=tuple(self._undone), outcome=outcome)
        if cancelled:
            words = self.applied.stopped()
            error.add_note(words)
            self._tell(words)
        if self._is_set_up:
            self._close(error.message if isinstance(error, DboptError) else "")

    # The plan and the steps.

    def _do(self) -> None:
        self._steps = self._patience.lasting(self._plan, "The plan")
        self._note_present()
        todo = self._ordered([one for one in self._steps if one.action is not Action.PRESENT])
        self._undone = list(todo)
        if todo:
            self._begin()
        findings = self._patience.lasting(lambda: self._look(todo), "The look before")
        try:
            self._do_all(todo, findings)
            if todo:
                self._go_on()
        except DeadlinePassed as error:
            if error.message not in {failed.message for failed in self.applied.failed}:
                self._tell(str(error))
            self.applied = replace(self.applied, outcome=Outcome.DEADLINE)
        self._finish(bool(todo))

    def _do_all(self, todo: Sequence[Step], findings: Sequence[Finding]) -> None:
        for number, step in enumerate(todo, 1):
            self._deadline.check(f'The index "{step.definition.name}"')
            if self._stepping:
                self._stepping(number, len(todo), step)
            self._try(step, findings)

    def _go_on(self) -> None:
        """Do what was done, or was not to be done, and is to be done by now: a crash of the server
        has undone it, somebody has made another partition. What has failed is not tried again.
        """
        for _ in range(PASSES):
            todo = self._not_tried()
            before = self.applied.changed
            if not todo:
                return
            names = ", ".join(step.definition.name for step in todo)
            self._tell(f"There is more to do by now: {names}.")
            self._undone += todo
            self._do_all(todo, self._patience.lasting(partial(self._findings, todo), "The look"))
            if self.applied.changed == before:
                return

    def _not_tried(self) -> list[Step]:
        failed = {(one.name, one.table) for one in self.applied.failed}
        return [
            step
            for step in self._is_left()
            if (step.definition.name, step.definition.table) not in failed
            and self._unwanted(step) is None
            and selection.held_back(step, self._failing) is None
        ]

    def _is_left(self) -> list[Step]:
        """The plan by now: what is not as declared."""
        if self._left is None:
            steps = self._patience.lasting(self._plan, "The plan afterwards")
            self._left = [step for step in steps if step.action is not Action.PRESENT]
        return self._left

    def _plan(self) -> list[Step]:
        """The steps that this run is to do, or to say of why it does not."""
        options = self._options
        steps = self._scene.plan(self._managing)
        if Action.DROP not in options.actions:
            steps = [step for step in steps if step.action is not Action.DROP]
        if not options.of_run:
            selection.refuse_emptying(steps, self._scene.declares, options.prune)
        return selection.chosen(steps, options.only, checked=bool(self._steps))

    def _ordered(self, todo: list[Step]) -> list[Step]:
        """What brings most comes first. Without an estimate they stay as declared."""
        if len(todo) < 2 or self._scene.catalog is None:
            return todo
        try:
            estimates = estimate.estimate(self._scene.connection, todo, self._scene.catalog)
        except DboptError:
            return todo
        return estimate.by_benefit(todo, estimates)

    def _managing(self, there: Iterable[Index]) -> Collection[selection.Name]:
        return self._journal.managed(there) if isinstance(self._journal, StoreJournal) else ()

    def _note_present(self) -> None:
        present = [step for step in self._steps if step.action is Action.PRESENT]
        self.applied = replace(self.applied, built=tuple(map(_present, present)))
        if isinstance(self._journal, StoreJournal):
            self._journal.note_present(
                step.definition for step in present if selection.is_own(step)
            )

    def _look(self, todo: Sequence[Step]) -> list[Finding]:
        """What forbids single steps. Raises MigrationRefused for what forbids all of them."""
        todo = [step for step in todo if self._unwanted(step) is None]
        if not todo:
            return []
        findings = self._findings(todo)
        selection.refuse(findings, todo)
        return findings

    def _findings(self, todo: Sequence[Step]) -> list[Finding]:
        return preflight.look(self._scene.connection, todo, self._settings.migrate)

    def _try(self, step: Step, findings: Sequence[Finding]) -> None:
        """Do a step, or note why it failed: the others go on."""
        what = f'The index "{step.definition.name}"'
        self._left = None
        try:
            built = self._patience.lasting(lambda: self._step(step, findings), what)
        except (DboptError, ServerError) as error:
            if isinstance(error, MigrationBusy):
                raise
            told = translate(what, error) if isinstance(error, ServerError) else error
            failed = (*self.applied.failed, Failed.of(step, told))
            self.applied = replace(self.applied, failed=failed)
            if isinstance(error, DeadlinePassed) and not self._deadline.left:
                raise
            if is_lost(error):
                # Five times, and it is back at once: it is this step that ends its session.
                self._back()
            self._failing.add((step.definition.schema, step.definition.table))
        else:
            self.applied = replace(self.applied, built=(*self.applied.built, *built))
            self._undone.remove(step)

    def _step(self, step: Step, findings: Sequence[Finding], looks: int = 0) -> tuple[Built, ...]:
        why: DboptError | None = selection.forbidden(step, findings)
        why = why or selection.held_back(step, self._failing)
        if why is not None:
            raise why
        self._pause()
        now = self._scene.again(step)
        if now is None:
            return ()
        if now.action is Action.PRESENT:
            return (_present(now),)
        why = self._unwanted(now)
        if why is not None:
            raise why
        built = operations.perform(self._work(), now)
        if built.action is Action.BUSY and looks < self._settings.migrate.attempts:
            # What somebody else was building is ready: now it can be said what it is good for.
            return self._step(step, findings, looks + 1)
        return (built,)

    def _unwanted(self, step: Step) -> DboptError | None:
        return selection.unwanted(step, self._options.actions, self._options.shown)

    def _work(self) -> Work:
        return Work(
            connection=self._scene.connection,
            settings=self._settings.migrate,
            journal=self._journal,
            deadline=self._deadline,
            report=self._report,
            pause=self._pause,
            tell=self._tell,
        )

    def _pause(self) -> None:
        """Wait until there is room for the next statement that costs, and still hold the lock."""
        self._throttle.wait(self._deadline)
        if self._guard.ensure(min(self._wait, self._deadline.left)):
            self._tell("The migration lock was lost with its session, and is held again.")
        if isinstance(self._journal, StoreJournal):
            self._journal.served = self._guard.connection

    def _finish(self, changed: bool) -> None:
        """The plan once more: nothing but what is present may be left."""
        left = tuple(self._is_left()) if changed else ()
        self.applied = replace(self.applied, left=left)
        if self.applied.outcome is not Outcome.DEADLINE:
            self.applied = replace(self.applied, outcome=self.applied.so_far)
            self._verify()

    def _verify(self) -> None:
        """Ask the planner about what is new. That takes seconds, and fails no run."""
        names = {built.name for built in self.applied.changed if built.action in _NEW}
        new = [one.definition for one in self._steps if one.definition.name in names]
        if not new or not self._options.verify:
            return
        try:
            found = tuple(verify.uses(self._scene.connection, new))
        except DboptError as error:
            self._tell(f"What the planner makes of the new indexes is not known: {error}")
        else:
            self.applied = replace(self.applied, uses=found)


def _present(step: Step) -> Built:
    name = step.existing.name if step.existing else step.definition.name
    return Built(name, step.definition.table, 0.0, True, Action.PRESENT)
