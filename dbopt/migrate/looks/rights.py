"""Rights and names: may this role build there, and is the name free."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.estimate import BUILDS, key, tree
from dbopt.migrate.looks.sight import Sight
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.sql.findings import Finding, Severity

MAX_NAME = 63
"""Bytes of a name: PostgreSQL cuts a longer one without a word."""


def privileges(sight: Sight) -> Iterator[Finding]:
    """An index belongs to its table's owner, its schema must allow it, and so must its place."""
    if sight.changing and not sight.server.can_temp:
        yield _refused(
            "privilege",
            sight.server.database,
            "This role may make no temporary tables, on which declared indexes are compared.",
            f"GRANT TEMPORARY ON DATABASE {look.quoted(sight.server.database)} TO "
            f"{look.quoted(sight.server.role)};",
        )
    seen: set[int] = set()
    for step in _all(sight.changing):
        table = sight.table(step)
        if table is not None and table.oid not in seen:
            seen.add(table.oid)
            yield from _of_table(sight, table, step)


def tablespaces(sight: Sight) -> Iterator[Finding]:
    """The tablespace that a declaration names is there, and may be used."""
    known = {space.name: space for space in sight.tablespaces}
    for step in sight.builds:
        name = step.definition.tablespace
        space = known.get(name)
        if name and space is None:
            yield _refused(
                "tablespace",
                key(step.definition),
                f'There is no tablespace "{name}".',
                "Create it, or take TABLESPACE out of the declaration.",
            )
        elif space is not None and not space.can_create:
            yield _refused(
                "tablespace",
                key(step.definition),
                f'This role may not use the tablespace "{name}".',
                f"GRANT CREATE ON TABLESPACE {look.quoted(name)} TO "
                f"{look.quoted(sight.server.role)};",
            )


def names(sight: Sight) -> Iterator[Finding]:
    """Names that are too long, or belong to something that is no index; tables that have twins."""
    for step in _all(sight.changing):
        definition = step.definition
        kind = sight.taken.get((definition.schema, definition.name))
        if len(definition.name.encode()) > MAX_NAME:
            yield _refused(
                "name",
                key(definition),
                f"The name has more than {MAX_NAME} bytes, and would be cut.",
                "Shorten it.",
            )
        elif kind:
            yield _refused(
                "name",
                key(definition),
                f"The name belongs to a {kind} of the schema {definition.schema}.",
                "Declare the index under another name.",
            )
    for table in sight.tables.values():
        if table.namesakes:
            yield Finding(
                "name",
                Severity.INFO,
                str(table),
                f"The search_path has a table {table.name} in {', '.join(table.namesakes)} too.",
                {"schemas": list(table.namesakes)},
                "Write the schema in the declaration: CREATE INDEX … ON schema.table.",
            )


def _of_table(sight: Sight, table: look.Table, step: Step) -> Iterator[Finding]:
    role = look.quoted(sight.server.role)
    if not table.owned:
        yield _refused(
            "privilege",
            str(table),
            f"The table belongs to {table.owner}, of which {sight.server.role} is no member: only "
            "an owner may change its indexes.",
            f"GRANT {look.quoted(table.owner)} TO {role};",
        )
    elif step.action in BUILDS and not table.can_create:
        yield _refused(
            "privilege",
            str(table),
            f"{sight.server.role} may create nothing in the schema {table.schema}.",
            f"GRANT CREATE ON SCHEMA {look.quoted(table.schema)} TO {role};",
        )


def _all(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield from (part for part in tree(step) if part.action is not Action.PRESENT)


def _refused(rule: str, name: str, message: str, remedy: str) -> Finding:
    return Finding(rule, Severity.CRITICAL, name, message, remedy=remedy)
