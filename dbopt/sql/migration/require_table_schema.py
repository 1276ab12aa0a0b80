"""A table without its schema: search_path decides which one it is."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Name
from dbopt.sql.ddl.model import Alter, CreateIndex, CreateTable, Drop, Node
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for name in _tables(subject.does):
        if not name.schema:
            yield Match(subject, f"{name} is in whatever schema search_path says.", name.at)


def _tables(node: Node) -> tuple[Name, ...]:
    if isinstance(node, CreateTable):
        return () if node.temporary else (node.table,)
    if isinstance(node, Alter):
        return (node.target,) if node.kind == "table" else ()
    if isinstance(node, Drop):
        return node.names if node.kind == "table" else ()
    return (node.table,) if isinstance(node, CreateIndex) else ()


RULE = Rule(
    name="require-table-schema",
    severity=Severity.INFO,
    group=Group.ROBUSTNESS,
    summary="A table is created, altered or dropped without its schema.",
    reason=(
        "Which schema is meant depends on the search_path of whoever runs the migration: another "
        "role or database setting makes, or drops, another table."
    ),
    remedy="Write schema.table.",
    fires="CREATE TABLE IF NOT EXISTS users (id bigint)",
    passes="CREATE TABLE IF NOT EXISTS public.users (id bigint)",
    check=_check,
    squawk="require-table-schema",
    default=False,
)
