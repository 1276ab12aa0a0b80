"""From a text of pg_stat_statements to a fingerprint, dbopt's own statements left out."""

from __future__ import annotations

import pytest

from dbopt.pg.sqlfile import statement
from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.collectors.pg_stat_statements import identify


def test_a_statement_has_its_fingerprint_and_a_redacted_text() -> None:
    found = identify("SELECT *\nFROM a WHERE x = 'secret' AND y = $1")
    assert found == (
        fingerprint("select * from a where x = 'other' and y = 3"),
        "SELECT * FROM a WHERE x = $2 AND y = $1",
    )


@pytest.mark.parametrize(
    "text",
    [
        "SELECT /* dbopt */ 1",
        "INSERT INTO dbopt.snapshot VALUES ($1)",
        'COPY "dbopt"."snapshot_table" ("relid") FROM STDIN',
        "EXPLAIN (FORMAT JSON) EXECUTE dbopt_explain (NULL)",
        "CREATE SCHEMA IF NOT EXISTS dbopt",
        statement("store_expire_snapshots").replace("%(before)s", "$1"),
    ],
)
def test_our_own_are_none(text: str) -> None:
    assert identify(text) is None


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM dbopts.a", "SELECT 'about dbopt'", "SELECT /* dbopt-like */ 1", "BEGIN"],
)
def test_others_are_not_taken_for_ours(text: str) -> None:
    assert identify(text) is not None
