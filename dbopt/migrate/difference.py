"""Declared against actual, as Alembic's operations: what a revision has to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dbopt.errors import DboptError, MigrationError
from dbopt.migrate.alembicops import CreateIndexSafelyOp, DropIndexSafelyOp
from dbopt.migrate.declared import Declared, wanted
from dbopt.migrate.direct import require_writable
from dbopt.migrate.estimate import Estimate, estimate, key
from dbopt.migrate.leftovers import on_declared_tables
from dbopt.migrate.plan import make_plan
from dbopt.migrate.register import known
from dbopt.migrate.selection import chosen, refuse_emptying
from dbopt.migrate.steps import Action, Step
from dbopt.pg import catalog
from dbopt.pg.catalog import Catalog
from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translated
from dbopt.settings import Settings

Table = tuple[str, str]
"""Schema, "" for that of the search path, and name."""

IndexOp = CreateIndexSafelyOp | DropIndexSafelyOp

_RENAMING = frozenset({Action.RENAME, Action.REPLACE})


@dataclass(frozen=True, slots=True)
class Difference:
    """A plan, with the declarations that it is of and an estimate of each step.

    `unseen` is why it is not known what dbopt manages, so that no drop is planned; "" if it is.
    """

    steps: Sequence[Step]
    declared: Mapping[str, Declared] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    catalog: Catalog | None = None
    unseen: str = ""

    def operations(self) -> list[IndexOp]:
        """What has to be done, in its order.

        Raises MigrationError for what dbopt would not do by itself.
        """
        refused = [step for step in self.steps if step.action is Action.CONFLICT]
        if refused:
            words = "; ".join(f'"{step.definition.name}": {step.reason}' for step in refused)
            raise MigrationError(
                f"No revision can be written: {words}.",
                hint="Declare it under another name, or leave it out with --only.",
            )
        made = [self._operation(step) for step in self.steps]
        return [operation for operation in made if operation is not None]

    def _operation(self, step: Step) -> IndexOp | None:
        if step.action in (Action.PRESENT, Action.CONFLICT):
            return None
        if step.action is Action.DROP:
            return DropIndexSafelyOp(step.definition, self._notes(step))
        one = self.declared.get(step.where)
        before = step.existing.definition if step.existing else None
        return CreateIndexSafelyOp(
            one.definition if one else step.definition,
            self._notes(step),
            before if step.action in _RENAMING else None,
        )

    def _notes(self, step: Step) -> list[str]:
        one = self.declared.get(step.where)
        found = one.annotations if one else None
        why = found.reason or " ".join(found.comments) if found else step.reason
        facts = [
            f"owner {found.owner}" if found and found.owner else "",
            f"until {found.expires}" if found and found.expires else "",
            f"advice {found.advice}" if found and found.advice else "",
            self._what(step),
            self._size(step),
            step.where,
        ]
        return [line for line in (why.strip(), ", ".join(filter(None, facts))) if line]

    def _what(self, step: Step) -> str:
        if step.existing is None or step.action not in _RENAMING:
            return ""
        done = "renames" if step.action is Action.RENAME else "replaces"
        return f"{done} {step.existing.name}"

    def _size(self, step: Step) -> str:
        found = self.estimates.get(key(step.definition))
        if found is None or not found.size_bytes:
            return ""
        kilobytes = found.size_bytes / 1024
        return (
            f"about {kilobytes:.0f} KiB"
            if kilobytes < 1024
            else f"about {kilobytes / 1024:.0f} MiB"
        )


def compare(
    settings: Settings,
    connection: Connection,
    found: Sequence[Declared],
    only: Sequence[str] = (),
    pending: Collection[Table] = (),
) -> Difference:
    """What the database lacks of the declared indexes, and what it has that was declared once.

    `pending` are tables that the same revision makes, or adds columns to: an index of one that
    cannot be made yet comes after that. Raises MigrationError, QueryFailed, ServerLost, UsageError
    for an `only` that is no name, and MigrationRefused on a standby, and where nothing is declared
    and all would go.
    """
    with translated("Comparing the indexes"):
        require_writable(connection)
    here = catalog.read(connection)
    later = [one for one in found if _is_later(connection, one, pending)]
    now = wanted(connection, [one for one in found if one not in later])
    managed, unseen = known(settings, connection, here.indexes)
    if not settings.index.project:
        managed = on_declared_tables(managed, now, here)
    steps = [*make_plan(now, here, managed=managed), *_creations(later)]
    refuse_emptying(steps, bool(found), prune=False)
    todo = [step for step in chosen(steps, only) if step.action is not Action.PRESENT]
    estimates: Mapping[str, Estimate] = {}
    with suppress(DboptError):  # a comment in the revision: none is no reason not to write it
        estimates = estimate(connection, todo, here)
    declarations = {one.where: one for one in found}
    return Difference(chosen(steps, only), declarations, estimates, here, unseen)


def from_nothing(found: Sequence[Declared], only: Sequence[str] = ()) -> Difference:
    """All of the declared indexes, where no database is asked."""
    return Difference(chosen(_creations(found), only), {one.where: one for one in found})


def _is_later(connection: Connection, one: Declared, pending: Collection[Table]) -> bool:
    if (one.definition.schema, one.definition.table) not in pending:
        return False
    try:
        wanted(connection, [one])
    except MigrationError:
        return True
    return False


def _creations(found: Sequence[Declared]) -> list[Step]:
    return [Step(Action.CREATE, one.definition, where=one.where) for one in found]
