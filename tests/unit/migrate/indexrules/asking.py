"""A text as declared indexes, and what a rule says of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from dbopt.migrate.indexlint import read_declared
from dbopt.migrate.indexrules.support import Declarations, Match, Rule
from dbopt.sql.indexdef import parse_index
from dbopt.sql.query import Relation
from dbopt.sql.schema import RelationKind, Schema, SchemaColumn, SchemaRelation

TODAY = date(2026, 2, 1)
PATTERN = "{table}_.*_idx"


def _relation(name: str, *columns: SchemaColumn, kind: RelationKind) -> SchemaRelation:
    unique = parse_index("CREATE UNIQUE INDEX t_pkey ON public.t (id)")
    return SchemaRelation(
        Relation("public", name),
        kind,
        {column.name: column for column in columns},
        rows=50_000,
        indexes=(unique,) if name == "t" else (),
    )


SAMPLE = Schema(
    {
        Relation("public", one.relation.name): one
        for one in (
            _relation(
                "t",
                SchemaColumn("id", "bigint", not_null=True, distinct=-1),
                SchemaColumn("maybe", "text", distinct=-0.5),
                SchemaColumn("status", "text", not_null=True, distinct=4),
                SchemaColumn("flag", "boolean", distinct=2),
                SchemaColumn("document", "jsonb"),
                SchemaColumn("old_document", "json"),
                kind=RelationKind.TABLE,
            ),
            _relation("v", SchemaColumn("id", "bigint"), kind=RelationKind.VIEW),
        )
    }
)
"""A table t, a view v, and t's primary key."""


def declarations(
    directory: Path, *texts: str, pattern: str = "", schema: Schema | None = None
) -> Declarations:
    """The declared indexes of these files' texts: a.sql, b.sql, ..."""
    for number, text in enumerate(texts):
        Path(directory, f"{chr(ord('a') + number)}.sql").write_text(text, encoding="utf-8")
    entries, _, mistakes = read_declared([directory])
    assert [] == mistakes
    return Declarations(tuple(entries), TODAY, pattern, schema)


def matches(rule: Rule, directory: Path, *texts: str) -> list[Match]:
    """What a rule finds in files of these texts, with a database if it needs one."""
    pattern = PATTERN if rule.name == "name-pattern" else ""
    schema = SAMPLE if rule.needs_schema else None
    return list(rule.check(declarations(directory, *texts, pattern=pattern, schema=schema)))


def said(rule: Rule, directory: Path, *texts: str) -> list[tuple[str, str]]:
    """The index and the severity of each match."""
    return [
        (m.entry.definition.name, (m.severity or rule.severity).name.lower())
        for m in matches(rule, directory, *texts)
    ]
