"""`dbopt index lint` with a database; and that PostgreSQL refuses what the rules say it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from dbopt.migrate.indexrules import not_immutable
from tests.unit.cli.calls import Call, caller

TABLES = """
CREATE TABLE t (
    id bigint PRIMARY KEY, maybe text, status text NOT NULL, flag boolean, document jsonb,
    old_document json, made timestamptz, tags text[], x int, y int
);
INSERT INTO t (id, maybe, status, flag)
SELECT n, n::text, 's' || n % 3, n % 2 = 0 FROM generate_series(1, 2000) n;
ANALYZE t;
"""
DECLARED = """
CREATE INDEX t_flag ON public.t (flag);
CREATE INDEX t_status ON public.t (status);
CREATE UNIQUE INDEX t_maybe ON public.t (maybe);
CREATE INDEX t_id ON public.t (id);
CREATE INDEX t_document ON public.t (document);
CREATE INDEX t_idd ON public.t (idd);
CREATE INDEX t_never ON public.t (maybe) WHERE status IS NOT NULL;
"""
REFUSED = [
    ("unsupported-by-method", "CREATE UNIQUE INDEX a ON t USING hash (x)"),
    ("unsupported-by-method", "CREATE UNIQUE INDEX a ON t USING gin (tags)"),
    ("unsupported-by-method", "CREATE INDEX a ON t USING hash (x, y)"),
    ("unsupported-by-method", "CREATE INDEX a ON t USING gin (tags) INCLUDE (x)"),
    ("unsupported-by-method", "CREATE INDEX a ON t USING brin (x) INCLUDE (y)"),
    ("unsupported-by-method", "CREATE INDEX a ON t USING brin (x DESC)"),
    ("json-key", "CREATE INDEX a ON t (old_document)"),
    ("json-key", "CREATE INDEX a ON t USING gin (old_document)"),
    ("not-immutable", "CREATE INDEX a ON t (x) WHERE made > now()"),
    ("not-immutable", "CREATE INDEX a ON t ((to_char(x, '999')))"),
    ("not-immutable", "CREATE INDEX a ON t ((concat(maybe, status)))"),
    ("not-immutable", "CREATE INDEX a ON t ((random() * x))"),
    ("not-immutable", "CREATE INDEX a ON t ((CURRENT_DATE - x))"),
    ("unknown-column", "CREATE INDEX a ON t (x) INCLUDE (z)"),
    ("repeated-name", "CREATE INDEX a ON t (x); CREATE INDEX a ON t (y)"),
]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    monkeypatch.chdir(tmp_path)
    Path("indexes").mkdir()
    return caller(monkeypatch, capsys)


def rules_of(call: Call, dsn: str, *words: str) -> dict[str, list[str]]:
    result = call("--dsn", dsn, "index", "lint", "--with-database", "--json", *words)
    assert "" == result.err
    out = result.out
    found: dict[str, list[str]] = {}
    for one in json.loads(out):
        assert one["examined"]
        found.setdefault(one["rule"], []).append(one["evidence"]["index"])
    return found


def test_what_a_database_adds(call: Call, pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    pg_conn.execute(TABLES)
    Path("indexes/t.sql").write_text(DECLARED)
    assert {
        "boolean-key": ["t_flag"],
        "low-selectivity": ["t_status"],
        "nullable-unique": ["t_maybe"],
        "covered-by-constraint": ["t_id"],
        "json-key": ["t_document"],
        "unknown-column": ["t_idd"],
        "constant-predicate": ["t_never"],
    } == rules_of(call, pg_dsn, "--ignore", "nobody-knows-why")
    assert 1 == call("index", "lint", "--dsn", pg_dsn).code


def test_postgresql_refuses_what_the_rules_say(
    call: Call, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute(TABLES)
    for number, (rule, sql) in enumerate(REFUSED):
        with pytest.raises(psycopg.Error), pg_conn.transaction():
            pg_conn.execute(sql)
        file = f"indexes/{number}.sql"
        Path(file).write_text(sql)
        result = call("--dsn", pg_dsn, "index", "lint", file, "--with-database", "--json")
        found = json.loads(result.out)
        critical = [one["rule"] for one in found if one["severity"] == "critical"]
        assert [rule] == critical, sql


def test_what_is_said_to_be_never_immutable_has_no_immutable_form(
    pg_conn: psycopg.Connection,
) -> None:
    found = pg_conn.execute(
        "select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace "
        "and provolatile = 'i' and proname = any(%s)",
        (sorted(not_immutable.NEVER),),
    )
    assert [] == found.fetchall()
