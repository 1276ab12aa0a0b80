"""An index on a whole JSON document."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import IndexKey


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    for key in entry.definition.keys:
        column = found.column(entry, key.expression) if key.is_column else None
        if column is not None and column.type in {"json", "jsonb"}:
            yield from _document(entry, key, column.type)


def _document(entry: Entry, key: IndexKey, kind: str) -> Iterator[Match]:
    method = entry.definition.method
    if kind == "json" and not key.opclass:
        yield Match(
            entry,
            f'"{key.expression}" is json, for which {method} has no operators: '
            "PostgreSQL refuses it.",
            "Make the column jsonb, or index an expression: ((document ->> 'key')).",
            Severity.CRITICAL,
        )
    elif method == "gin" and not key.opclass:
        yield Match(
            entry,
            f'"{key.expression}" has the default operator class, jsonb_ops.',
            "Where only @>, @? and @@ are asked, jsonb_path_ops is smaller and faster.",
            Severity.INFO,
        )
    elif method == "btree":
        yield Match(
            entry,
            f'"{key.expression}" is jsonb: a btree compares whole documents, and a row with one '
            "above 2704 bytes is refused.",
        )


RULE = Rule(
    name="json-key",
    severity=Severity.WARNING,
    summary="An index on a JSON document as a whole, or with the larger operator class.",
    reason="A btree on a document serves = on all of it alone, and large ones do not fit in it.",
    remedy="Use gin, or index the key that is asked for: ((document ->> 'key')).",
    fires="CREATE INDEX a ON t (document);",
    passes="CREATE INDEX a ON t USING gin (document jsonb_path_ops);",
    check=each(_check),
    needs_schema=True,
)
