from __future__ import annotations

import pytest

from dbopt.sql.ddl import read
from dbopt.sql.ddl.model import Unread
from dbopt.sql.findings import Severity
from dbopt.sql.migration import RULES
from dbopt.sql.migration.lint import lint_migration
from dbopt.sql.migration.support import Rule

APART = "-- in a transaction of its own:\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "create unique /* index */ index i on t (a) where b",
            "create unique /* index */ index CONCURRENTLY i on t (a) where b",
        ),
        ("CREATE INDEX ON t (a)", "CREATE INDEX CONCURRENTLY ON t (a)"),
        (
            'CREATE UNIQUE INDEX IF NOT EXISTS "I" ON t (a)',
            'DROP INDEX CONCURRENTLY IF EXISTS "I";\nCREATE UNIQUE INDEX CONCURRENTLY "I" ON t (a)',
        ),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            "DROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON t (a)",
        ),
        (
            'DROP INDEX i, s."J"',
            'DROP INDEX CONCURRENTLY IF EXISTS i;\nDROP INDEX CONCURRENTLY IF EXISTS s."J"',
        ),
        ("REINDEX (verbose) TABLE t", "REINDEX (verbose) TABLE CONCURRENTLY t"),
        (
            "ALTER TABLE s.t DETACH PARTITION p",
            "ALTER TABLE s.t DETACH PARTITION p CONCURRENTLY",
        ),
        (
            "REFRESH MATERIALIZED VIEW v",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        ),
        (
            'ALTER TABLE s.t ADD UNIQUE (a, "B")',
            'CREATE UNIQUE INDEX CONCURRENTLY "t_a_B_key" ON s.t (a, "B");\n'
            'ALTER TABLE s.t ADD CONSTRAINT "t_a_B_key" UNIQUE USING INDEX "t_a_B_key"',
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\n"
            f"{APART}ALTER TABLE t VALIDATE CONSTRAINT c",
        ),
        (
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE",
            "ALTER TABLE t ADD CONSTRAINT t_a_fkey FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE "
            f"NOT VALID;\n{APART}ALTER TABLE t VALIDATE CONSTRAINT t_a_fkey",
        ),
        (
            "ALTER TABLE t ALTER a SET NOT NULL",
            "ALTER TABLE t ADD CONSTRAINT t_a_not_null NOT NULL a NOT VALID;\n"
            f"{APART}ALTER TABLE t VALIDATE CONSTRAINT t_a_not_null",
        ),
        ("DROP INDEX i CASCADE", None),
        ("REINDEX SYSTEM", None),
        ("ALTER TABLE t ADD COLUMN a int UNIQUE", None),
        ("ALTER TABLE t ADD COLUMN a int CHECK (a > 0)", None),
    ],
)
def test_the_safe_way(text: str, expected: str | None) -> None:
    found = [one for one in lint_migration(text) if one.severity > Severity.INFO]
    told = {one.evidence["instead"] for one in found if "instead" in one.evidence}
    assert ({expected} if expected else set()) == told


def test_before_postgresql_18_a_check_proves_it() -> None:
    (found,) = lint_migration(
        "ALTER TABLE t ALTER a SET NOT NULL",
        version=15,
        ignore=["prefer-robust-stmts", "require-timeout-settings"],
    )
    assert (
        "ALTER TABLE t ADD CONSTRAINT t_a_not_null CHECK (a IS NOT NULL) NOT VALID;\n"
        f"{APART}ALTER TABLE t VALIDATE CONSTRAINT t_a_not_null;\n"
        f"{APART}ALTER TABLE t ALTER COLUMN a SET NOT NULL, DROP CONSTRAINT t_a_not_null"
    ) == found.evidence["instead"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_safe_way_is_clean(rule: Rule) -> None:
    for version in (15, 18):
        for found in lint_migration(rule.fires, rules=[rule], version=version):
            instead = found.evidence.get("instead", "SELECT 1")
            assert not any(isinstance(one.does, Unread) for one in read(instead))
            again = lint_migration(instead, version=version)
            assert [] == [one for one in again if one.severity is Severity.CRITICAL]


def test_long_names_are_cut_as_postgresql_cuts_them() -> None:
    table = "é" * 40
    found = lint_migration(f"ALTER TABLE {table} ADD FOREIGN KEY (a) REFERENCES u")
    instead = next(one.evidence["instead"] for one in found if "instead" in one.evidence)
    name = instead.split(" CONSTRAINT ")[1].split(" FOREIGN")[0]
    assert len(name.strip('"').encode()) <= 63
    assert name.strip('"').endswith("_fkey")
