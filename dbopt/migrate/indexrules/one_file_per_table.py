"""A file of several tables, or a table of several files."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Match, Rule
from dbopt.sql.findings import Severity


def _check(found: Declarations) -> Iterator[Match]:
    table_of: dict[str, str] = {}
    file_of: dict[tuple[str, str], str] = {}
    for entry in found.entries:
        table, file = entry.definition.table, entry.file
        if table_of.setdefault(file, table) != table:
            yield Match(entry, f'The file has indexes of "{table_of[file]}" and of "{table}".')
        elif file_of.setdefault(entry.table, file) != file:
            yield Match(entry, f'{file_of[entry.table]} has indexes of "{table}" too.')


RULE = Rule(
    name="one-file-per-table",
    severity=Severity.INFO,
    summary="A file with the indexes of several tables, or a table in several files.",
    reason="Who looks at a table's file sees all its indexes, and does not add what is there.",
    remedy="Keep the indexes of a table in a file of its name.",
    fires="CREATE INDEX a ON t (x); CREATE INDEX b ON u (x);",
    passes="CREATE INDEX a ON t (x); CREATE INDEX b ON t (y);",
    check=_check,
)
