"""What is refused is refused however it is spelt, and what cannot be read is refused rather."""

from __future__ import annotations

import pytest

from dbopt.guard.policy import decide
from dbopt.guardsettings import GuardRules
from tests.unit.guard.made import query

WHOLE_TABLE = GuardRules(max_complexity=0)
READ_ONLY = GuardRules(max_complexity=0, unqualified_writes="allow", read_only=True)
NO_DDL = GuardRules(max_complexity=0, unqualified_writes="allow", ddl="refuse")

DELETES = (
    # blanks, comments, case, semicolons, parentheses
    "delete\nfrom\tt", "/**/DELETE/*'*/FROM/*/**/*/t", "-- x\nDELETE FROM t", "DELETE\x0cFROM\x0bt",
    ";DELETE FROM t", ";;; DELETE FROM t;", "((WITH x AS (DELETE FROM t RETURNING 1) TABLE x))",
    # names
    'DELETE FROM "t"', 'DELETE FROM U&"\\0074"', "DELETE FROM ONLY t", "DELETE FROM t *",
    "DELETE FROM t AS where_", 'DELETE FROM t AS "where"', 'DELETE FROM "t where id = 1"',
    "DELETE FROM public.t", "DELETE FROM t USING u", "DELETE FROM t RETURNING id",
    "UPDATE t SET a = 1", "UPDATE ONLY t SET a = 1", "UPDATE t x SET a = 1",
    "UPDATE t SET (a, b) = (SELECT 1, 2)", "UPDATE t SET a[1] = 1", "UPDATE t SET a.b = 1",
    "UPDATE t SET a = DEFAULT", "UPDATE t SET a = 1 FROM u",
    "UPDATE t SET a = (SELECT b FROM u WHERE u.id = 1)",
    # a WHERE that says nothing
    "DELETE FROM t WHERE true", "DELETE FROM t WHERE $1", "DELETE FROM t WHERE 1 = 1",
    "DELETE FROM t WHERE NOT false", "DELETE FROM t WHERE 'x' = 'x'",
    "DELETE FROM t WHERE E'\\x41' = U&'\\0041'", "DELETE FROM t WHERE $$a$$ = $b$a$b$",
    "DELETE FROM t WHERE now() > '2000-01-01'", "DELETE FROM t WHERE (SELECT true)",
    "DELETE FROM t WHERE CURRENT_DATE IS NOT NULL", "DELETE FROM t WHERE 1 IN (1, 2)",
    "DELETE FROM t WHERE current_user = session_user", "DELETE FROM t WHERE (1, 2) = (1, 2)",
    "DELETE FROM t WHERE EXISTS (SELECT 1)", "DELETE FROM t WHERE CAST('t' AS boolean)",
    # inside another
    "SELECT 1; DELETE FROM t", "BEGIN; DELETE FROM t; COMMIT", "SELECT ';'; DELETE FROM t",
    "EXPLAIN ANALYZE DELETE FROM t", "explain analyse verbose DELETE FROM t",
    "EXPLAIN (ANALYZE 1) DELETE FROM t", "EXPLAIN (ANALYZE 'on') DELETE FROM t",
    "EXPLAIN (ANALYZE off, ANALYZE on) DELETE FROM t", 'EXPLAIN ("analyze" "on") DELETE FROM t',
    'EXPLAIN (BUFFERS, U&"\\0061nalyze") DELETE FROM t',
    "PREPARE p AS DELETE FROM t", "PREPARE p (int, numeric(1, 2)) AS DELETE FROM t",
    'PREPARE "as" AS DELETE FROM t', "WITH x AS (SELECT 1) DELETE FROM t",
    "with recursive x as (select 1) update t set a = 1",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "WITH x AS MATERIALIZED (DELETE FROM t RETURNING 1) TABLE x",
    "WITH x AS (WITH y AS (DELETE FROM t RETURNING 1) TABLE y) SELECT 1",
    "INSERT INTO u WITH y AS (DELETE FROM t RETURNING *) SELECT * FROM y",
    "WITH y AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM y",
    "CREATE TABLE u AS WITH y AS (DELETE FROM t RETURNING *) SELECT * FROM y",
    "COPY (DELETE FROM t RETURNING *) TO STDOUT",
    "copy (with x as (delete from t returning *) select * from x) to stdout",
    # what sqlglot cannot read
    "UPDATE t SET a = 1 !!! b", "UPDATE t SET a = b @@@ c", "DELETE FROM t WHERE",
    "WITH x AS (DELETE FROM t RETURNING !!!) SELECT 1", "UPDATE t SET", "DELETE FROM t ((((",
    f"SELECT {'(' * 3000}1{')' * 3000}; DELETE FROM t", f"SELECT 1{'+1' * 60_000}; DELETE FROM t",
)  # fmt: skip
"""Each writes a whole table."""

WRITES = (
    "INSERT INTO t VALUES (1)", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "DELETE FROM t WHERE id = 1", "UPDATE t SET a = 1 WHERE id = 1", "DO 'BEGIN END'", "CALL f()",
    "SELECT 1 INTO u", "TABLE t FOR UPDATE", "(SELECT * FROM t) FOR SHARE",
    "SELECT * FROM (SELECT * FROM t FOR UPDATE) x", "COPY t FROM STDIN", "COPY t TO '/tmp/x'",
    "COPY (SELECT 1) TO PROGRAM 'x'", "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    "EXPLAIN ANALYZE EXECUTE p", "CREATE TABLE u AS EXECUTE p",
    "DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE",
    # functions
    "SELECT nextval('s')", "SELECT NEXTVAL ( 's')", 'SELECT "nextval"(\'s\')',
    "SELECT pg_catalog.setval('s', 1)", 'SELECT U&"\\006eextval"(\'s\')', "SELECT lo_unlink(1)",
    "SELECT query_to_xml('DELETE FROM t', true, true, '')", "SELECT ts_stat('SELECT 1')",
    "SELECT * FROM dblink('', 'DELETE FROM t') AS x (a int)", "SELECT unknown()", "TABLE f()",
    "VALUES (nextval('s'))", "SELECT 1 ORDER BY nextval('s')", "SELECT 1 LIMIT nextval('s')",
    "SELECT (SELECT nextval('s'))", "SELECT * FROM t, LATERAL setval('s', 1)",
    "SELECT count(*) FILTER (WHERE nextval('s') > 0) FROM t", "SELECT /**/pg_notify('a', 'b')",
    "DECLARE c CURSOR FOR SELECT nextval('s')", "PREPARE p AS SELECT nextval('s')",
    "COPY (SELECT nextval('s')) TO STDOUT", "SELECT 1; SELECT nextval('s')",
    # what cannot be read
    "SELEKT 1", "SELECT 1 !!! FROM ((", "SELECT * FROM t WHERE a @@@@ b )", "TABLE",
)  # fmt: skip
"""Each may write."""

DEFINITIONS = (
    "create/**/table x()", ";CREATE TABLE x()", "CREATE TEMP TABLE x AS SELECT 1",
    "SELECT * INTO TEMP x FROM t", "WITH y AS (SELECT 1) SELECT * INTO x FROM y",
    "(SELECT 1 INTO x)", "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "EXPLAIN (ANALYZE 1) SELECT 1 INTO x", "TRUNCATE ONLY t", "ALTER TABLE t ADD b int",
    "DROP INDEX CONCURRENTLY i", "GRANT SELECT ON t TO u", "REVOKE ALL ON t FROM u",
    "COMMENT ON TABLE t IS 'x'", "SECURITY LABEL ON TABLE t IS 'x'", "REASSIGN OWNED BY a TO b",
    "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y", "SELECT 1; DROP TABLE t",
    "BEGIN; DROP TABLE t; COMMIT", "CREATE TABLE x AS EXECUTE p", "PREPARE p AS SELECT 1 INTO x",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x", "DO $$ BEGIN DROP TABLE t; END $$",
    "do language plpgsql 'BEGIN END'", "SELECT 1; DO 'BEGIN END'", "CREATE TABLE !! garbage",
    "SELECT 1 !! INTO x FROM t ((",
)  # fmt: skip


def ids(text: str) -> str:
    return text[:60]


@pytest.mark.parametrize("text", DELETES, ids=ids)
def test_a_write_of_a_whole_table(text: str) -> None:
    assert "unqualified-write" == decide(query(text), WHOLE_TABLE).rule


@pytest.mark.parametrize("text", [*DELETES, *WRITES, *DEFINITIONS], ids=ids)
def test_what_may_write(text: str) -> None:
    assert "read-only" == decide(query(text), READ_ONLY).rule


@pytest.mark.parametrize("text", DEFINITIONS, ids=ids)
def test_what_changes_the_schema(text: str) -> None:
    assert "ddl" == decide(query(text), NO_DDL).rule
