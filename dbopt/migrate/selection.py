"""Which steps of a plan a run does: what was asked for, what was shown, what may begin. PURE."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from dbopt.errors import DboptError, MigrationError, MigrationRefused, UsageError
from dbopt.migrate.steps import Action, Step, required
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.indexdef import IndexDefinition

CHANGING = frozenset(Action) - {Action.PRESENT, Action.CONFLICT}
"""Actions that a run does something for; it waits for the end of one that is busy."""

ADDING = frozenset({Action.CREATE, Action.REBUILD, Action.RENAME, Action.ATTACH, Action.BUSY})
"""Actions after which every index that was there, and was valid, is still there."""

TAKING = frozenset({Action.DROP, Action.REPLACE})
"""Actions that take an index away: nobody wants one of these that he was not shown."""

Name = tuple[str, str]
"""Schema and index."""


def name_of(step: Step) -> Name:
    """What a step is known by."""
    return step.definition.schema, step.definition.name


def chosen(steps: Sequence[Step], only: Collection[str], *, checked: bool = False) -> list[Step]:
    """The steps of the named indexes and tables; all of them where none is named.

    Raises UsageError for a word that names nothing in the plan, unless an earlier plan was
    `checked`: what it named may be gone by now, as was asked for.
    """
    if not only:
        return list(steps)
    known = {word for step in steps for word in words(step)}
    for word in () if checked else only:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            raise UsageError(
                f"--only {word}: no index of the plan, and no table of one, is called so.",
                hint=f"Did you mean {near[0]}?" if near else "`dbopt index plan` shows the names.",
            )
    return [step for step in steps if not words(step).isdisjoint(only)]


def words(step: Step) -> frozenset[str]:
    """What --only and findings may call the step: its index, the one that is there, the table,
    and those of its partitions."""
    found = _names(step.definition)
    if step.existing:
        found |= _names(step.existing.definition)
    return found.union(*map(words, step.partitions))


def _names(definition: IndexDefinition) -> frozenset[str]:
    plain = (definition.name, definition.table)
    return frozenset((*plain, *(f"{definition.schema}.{name}" for name in plain)))


def is_own(step: Step) -> bool:
    """Whether a declared index is there under its own name, and is nobody else's."""
    there = step.existing
    return there is not None and there.name == step.definition.name and not required(there)


def refuse_emptying(steps: Iterable[Step], declares: bool, prune: bool) -> None:
    """Raise MigrationRefused where nothing is declared, and all that dbopt manages would go.

    That is what a run in the wrong directory looks like.
    """
    gone = [step for step in steps if step.action is Action.DROP]
    if gone and not (declares or prune):
        raise MigrationRefused(
            f"No index is declared here, and {len(gone)} that dbopt manages would be dropped.",
            hint="Run it where the declarations are, or set index.directory. If they are all to "
            "go: `dbopt index apply --prune`.",
        )


def taking(steps: Iterable[Step]) -> frozenset[Name]:
    """Those that take an index away, for `unwanted` to compare with later."""
    return frozenset(name_of(step) for step in steps if step.action in TAKING)


def unwanted(
    step: Step, actions: Collection[Action], shown: Collection[Name] | None
) -> DboptError | None:
    """Why a run must not do a step, whatever the database is like."""
    name = step.definition.name
    if step.action is Action.CONFLICT:
        return MigrationError(
            f'The index "{name}" cannot be made as declared: {step.reason}.',
            hint="Declare it under another name, or change by hand what is there.",
        )
    if step.action not in actions:
        return MigrationError(
            f'The index "{name}" needs what is not done here ({step.action.value}).',
            hint=f"Run `dbopt index apply --only {name}`.",
        )
    if shown is not None and step.action in TAKING and name_of(step) not in shown:
        return MigrationRefused(
            f'The index "{name}" would be taken away ({step.action.value}), which the plan that '
            "was shown did not say.",
            hint="The database has changed meanwhile. Run again, and look at the plan.",
        )
    return None


def forbidden(step: Step, findings: Iterable[Finding]) -> MigrationRefused | None:
    """What a look before the first change has found that forbids this step; None where nothing."""
    mine = [found for found in findings if found.severity >= Severity.CRITICAL]
    mine = [found for found in mine if not _objects(found).isdisjoint(words(step))]
    return refusal(mine) if mine else None


def of_all(findings: Iterable[Finding], steps: Sequence[Step]) -> list[Finding]:
    """The findings that forbid the whole run: not those of single indexes or tables of it."""
    single = {word for step in steps for word in words(step)}
    return [
        found
        for found in findings
        if found.severity >= Severity.CRITICAL and not _objects(found) <= single
    ]


def _objects(finding: Finding) -> frozenset[str]:
    """What a finding is about: one that says the same of several indexes names them all."""
    return frozenset(finding.object.split(", "))


def refuse(findings: Sequence[Finding], steps: Sequence[Step]) -> None:
    """Raise MigrationRefused, with all that is critical, where not one of the steps can be done."""
    if of_all(findings, steps) or all(forbidden(step, findings) for step in steps):
        raise refusal([one for one in findings if one.severity >= Severity.CRITICAL])


def refusal(findings: Sequence[Finding]) -> MigrationRefused:
    """All of the findings as one error."""
    remedies = dict.fromkeys(found.remedy for found in findings if found.remedy)
    return MigrationRefused(
        " ".join(f"{found.object}: {_sentence(found.message)}" for found in findings),
        hint=" ".join(map(_sentence, remedies)),
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", ";", "!", "?")) else f"{text}."


def held_back(step: Step, failed: Collection[Name]) -> MigrationError | None:
    """A drop waits while an index of the same table, which may replace it, is not there yet.

    `failed` has the schema and table of each step that failed.
    """
    table = (step.definition.schema, step.definition.table)
    if step.action is not Action.DROP or table not in failed:
        return None
    return MigrationError(
        f'The index "{step.definition.name}" was kept: another one of {table[1]} was not made.',
        hint="Mend that one, then run again.",
    )
