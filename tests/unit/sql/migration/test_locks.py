from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.migration import RULES
from dbopt.sql.migration.lint import lint_migration


def tells(name: str, text: str) -> list[tuple[str, Severity]]:
    """Where one rule fires, and how badly."""
    rules = [rule for rule in RULES if rule.name == name]
    return [(one.object, one.severity) for one in lint_migration(text, rules=rules)]


@pytest.mark.parametrize(
    "text",
    [
        "REFRESH MATERIALIZED VIEW CONCURRENTLY totals",
        "ALTER TABLE t ALTER COLUMN a SET (n_distinct = 5)",
        "ALTER TABLE t ALTER COLUMN a RESET (n_distinct)",
        "ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 100",
        "CREATE TABLE t (id serial); ALTER SEQUENCE t_id_seq INCREMENT 2",
        "ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0) NOT VALID",
    ],
)
def test_nobody_waits_for_these(text: str) -> None:
    assert [] == tells("require-lock-timeout", text)


@pytest.mark.parametrize(
    "text",
    [
        "ALTER POLICY p ON t USING (true)",
        "ALTER TRIGGER a ON t RENAME TO b",
        "ALTER SEQUENCE s INCREMENT 2",
        "ALTER VIEW v SET (security_barrier)",
        "ALTER DOMAIN d VALIDATE CONSTRAINT c",
    ],
)
def test_others_wait_for_these(text: str) -> None:
    assert [("1:1", Severity.WARNING)] == tells("require-lock-timeout", text)


def test_a_domain_is_told_by_what_is_read() -> None:
    name = "ban-alter-domain-with-add-constraint"
    check = "ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0)"
    assert [("1:20", Severity.CRITICAL)] == tells(name, check)
    assert [("1:20", Severity.WARNING)] == tells(name, f"{check} NOT VALID")
    assert [("1:1", Severity.CRITICAL)] == tells(name, "ALTER DOMAIN d VALIDATE CONSTRAINT c")
    assert [("1:1", Severity.CRITICAL)] == tells(name, "ALTER DOMAIN d SET NOT NULL")
    assert [] == tells(name, "ALTER DOMAIN d DROP NOT NULL")


def test_a_foreign_key_of_a_new_column_reads_nothing() -> None:
    name, column = "adding-foreign-key-constraint", "ALTER TABLE t ADD COLUMN u bigint"
    assert [("1:35", Severity.WARNING)] == tells(name, f"{column} REFERENCES u")
    assert [("1:45", Severity.CRITICAL)] == tells(name, f"{column} DEFAULT 1 REFERENCES u")
