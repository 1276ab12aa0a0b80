"""What the migration lint says of locks and rewrites, held against a real server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import pq

from dbopt.sql.ddl import read
from dbopt.sql.ddl.model import Transaction, Unread
from dbopt.sql.findings import Severity
from dbopt.sql.migration import RULES
from dbopt.sql.migration.context import migration
from dbopt.sql.migration.lint import lint_migration
from dbopt.sql.migration.locks import Mode, locks
from dbopt.sql.migration.support import Rule
from tests.fix_pg import Server, fresh_database

SYNTAX_ERROR = b"42601"
TABLES = """
    create table t (
        id bigint constraint t_id_idx primary key, a text, b integer not null default 1
    );
    create table u (
        id bigint constraint u_id_idx primary key, t_id bigint, check (t_id > 0) not valid
    );
    create index t_a_idx on t (a);
    create unique index t_b_idx on t (b);
    create table p (id bigint, at date) partition by range (at);
    create table p_one partition of p for values from ('2020-01-01') to ('2021-01-01');
    create table q (id bigint, at date);
    create index p_idx on only p (id);
    create index q_idx on q (id);
    create materialized view m as select 1 as n;
    create unique index m_idx on m (n);
    create sequence s;
    create view v as select id from t;
    create function touch() returns trigger language plpgsql as 'begin return new; end';
    create trigger touch before update on t for each row execute function touch();
    create policy own on t using (true);
    create rule silent as on delete to u do instead nothing;
    create index t_sum_idx on t ((b + 1));
    insert into t (id, a, b) select n, n, n from generate_series(1, 3) n;
"""
STATEMENTS = [
    "ALTER TABLE t ADD COLUMN c text",
    "ALTER TABLE t ADD COLUMN c bigint REFERENCES u",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0) NOT VALID",
    "ALTER TABLE u ADD CONSTRAINT c FOREIGN KEY (t_id) REFERENCES t NOT VALID",
    "ALTER TABLE u VALIDATE CONSTRAINT u_t_id_check",
    "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX t_b_idx",
    "ALTER TABLE t ALTER COLUMN a TYPE varchar(20)",
    "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE t ALTER COLUMN b DROP NOT NULL",
    "ALTER TABLE t ALTER COLUMN b SET DEFAULT 2",
    "ALTER TABLE t ALTER COLUMN b SET STATISTICS 100",
    "ALTER TABLE t ALTER COLUMN a SET (n_distinct = 5)",
    "ALTER TABLE t ALTER COLUMN a RESET (n_distinct)",
    "ALTER TABLE t ALTER COLUMN a SET STORAGE external",
    "ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t RENAME COLUMN a TO c",
    "ALTER TABLE t RENAME TO w",
    "ALTER TABLE t SET (fillfactor = 70)",
    "ALTER TABLE t SET UNLOGGED",
    "ALTER TABLE t DISABLE TRIGGER touch",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t CLUSTER ON t_a_idx",
    "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
    "ALTER TABLE p DETACH PARTITION p_one",
    "ALTER INDEX t_a_idx RENAME TO t_c_idx",
    "ALTER INDEX t_a_idx SET (fillfactor = 70)",
    "ALTER INDEX t_sum_idx ALTER COLUMN 1 SET STATISTICS 100",
    "ALTER VIEW v SET (security_barrier)",
    "ALTER SEQUENCE s INCREMENT 2",
    "ALTER SEQUENCE s OWNED BY t.id",
    "ALTER SEQUENCE s RENAME TO s2",
    "ALTER SEQUENCE s OWNER TO current_user",
    "ALTER POLICY own ON t USING (false)",
    "ALTER TRIGGER touch ON t RENAME TO touched",
    "ALTER RULE silent ON u RENAME TO quiet",
    "CREATE TABLE p_two PARTITION OF p FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
    "CREATE TABLE w (id bigint REFERENCES t)",
    "CREATE INDEX i ON t (b)",
    "CREATE TRIGGER i BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE CONSTRAINT TRIGGER i AFTER UPDATE ON t FROM u FOR EACH ROW EXECUTE FUNCTION touch()",
    "DROP INDEX t_a_idx",
    "DROP TABLE u",
    "DROP VIEW v",
    "DROP SEQUENCE s",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM t",
    "CREATE POLICY mine ON t USING (true)",
    "CREATE RULE nothing AS ON DELETE TO t DO INSTEAD NOTHING",
    "DROP MATERIALIZED VIEW m",
    "DROP TRIGGER touch ON t",
    "TRUNCATE t, u",
    "REINDEX TABLE q",
    "REINDEX INDEX q_idx",
    "REFRESH MATERIALIZED VIEW m",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "CLUSTER t USING t_a_idx",
    "ANALYZE t",
    "LOCK TABLE t",
    "LOCK TABLE t, u IN SHARE ROW EXCLUSIVE MODE",
    "UPDATE t SET a = 'x'",
    "DELETE FROM t WHERE id = 1",
    "INSERT INTO t (id, b) VALUES (9, 9)",
]
UNTOLD = {
    "DROP INDEX t_a_idx": {"t"},
    "REINDEX INDEX q_idx": {"q"},
}
"""Tables that are locked too, and cannot be told from the statement."""
MODES = {f"{str(mode).title().replace(' ', '')}Lock": mode for mode in Mode}
REWRITING = {"adding-field-with-default", "adding-auto-increment-column", "rewriting-table"}
REWRITING |= {"changing-column-type"}
REWRITES = [
    ("ALTER TABLE t ADD COLUMN c text DEFAULT 'x' NOT NULL", False),
    ("ALTER TABLE t ADD COLUMN c timestamptz DEFAULT now()", False),
    ("ALTER TABLE t ADD COLUMN c integer DEFAULT 1 + 1", False),
    ("ALTER TABLE t ADD COLUMN c text DEFAULT lower('A')", False),
    ("ALTER TABLE t ADD COLUMN c varchar(3) DEFAULT 'x'::varchar(3)", False),
    ("ALTER TABLE t ADD COLUMN c text", False),
    ("ALTER TABLE t ADD COLUMN c timestamptz DEFAULT clock_timestamp()", True),
    ("ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid()", True),
    ("ALTER TABLE t ADD COLUMN c float DEFAULT 1 + random()", True),
    ("ALTER TABLE t ADD COLUMN c integer GENERATED ALWAYS AS (b + 1) STORED", True),
    ("ALTER TABLE t ADD COLUMN c bigint GENERATED ALWAYS AS IDENTITY", True),
    ("ALTER TABLE t ADD COLUMN c bigserial", True),
    ("ALTER TABLE t SET UNLOGGED", True),
    ("ALTER TABLE t ALTER COLUMN b TYPE bigint", True),
    ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", False),
    ("ALTER TABLE t SET (fillfactor = 70)", False),
]


each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@pytest.fixture(scope="module")
def database(pg_backend: Server) -> Iterator[psycopg.Connection]:
    """A connection to one database for all of these tests, with TABLES."""
    with (
        fresh_database(pg_backend) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        connection.execute(TABLES)
        yield connection


@each_rule
def test_examples_are_what_postgresql_takes(rule: Rule, database: psycopg.Connection) -> None:
    """A utility statement is only parsed when it is prepared: it may name what is not there."""
    told = lint_migration(rule.fires, rules=[rule])
    for text in (rule.fires, rule.passes, *(one.evidence.get("instead", "") for one in told)):
        for statement in read(text):
            result = database.pgconn.prepare(b"", statement.sql.encode())
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            assert (state == SYNTAX_ERROR) == isinstance(statement.does, Unread), statement.sql


@pytest.mark.parametrize("statement", STATEMENTS)
def test_locks_are_those_that_the_server_takes(
    statement: str, database: psycopg.Connection
) -> None:
    expected: dict[str, Mode] = {}
    (subject,) = migration(statement).subjects
    for lock in locks(subject):
        name = lock.relation.name
        expected[name] = max(lock.mode, expected.get(name, Mode.ACCESS_SHARE))
    with database.transaction(force_rollback=True):
        before = names(database)
        database.execute(statement)
        taken = held(database, before)

    assert expected == {name: taken.get(name) for name in expected}
    strong = {name for name, mode in taken.items() if mode >= Mode.SHARE and name[-3:] != "idx"}
    assert strong - set(expected) - UNTOLD.get(statement, set()) == set()


def names(connection: psycopg.Connection) -> dict[int, str]:
    """The relations of the schema as they are called before the statement."""
    found = connection.execute(
        "select oid, relname from pg_class where relnamespace = 'public'::regnamespace"
    )
    return dict(found.fetchall())


def held(connection: psycopg.Connection, known: dict[int, str]) -> dict[str, Mode]:
    """The strongest lock that this session holds on each of them."""
    found: dict[str, Mode] = {}
    rows = connection.execute(
        "select relation, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'"
    )
    for oid, written in rows.fetchall():
        if oid in known:
            mode = MODES[written]
            found[known[oid]] = max(mode, found.get(known[oid], mode))
    return found


@pytest.mark.parametrize(("statement", "rewrites"), REWRITES)
def test_what_is_said_to_be_rewritten_is(
    statement: str, rewrites: bool, database: psycopg.Connection
) -> None:
    told = {one.rule for one in lint_migration(statement)} & REWRITING
    assert rewrites == bool(told)

    with database.transaction(force_rollback=True):
        before = file_of(database)
        database.execute(statement)
        assert rewrites == (before != file_of(database))


def file_of(connection: psycopg.Connection) -> int | None:
    row = connection.execute("select pg_relation_filenode('t')").fetchone()
    return row[0] if row else None


CHECKED = [
    ("ALTER TABLE u ADD COLUMN c bigint REFERENCES t", False),
    ("ALTER TABLE u ADD COLUMN c bigint DEFAULT 1 REFERENCES t", True),
    ("ALTER TABLE u ADD CONSTRAINT c FOREIGN KEY (t_id) REFERENCES t", True),
    ("ALTER TABLE u ADD CONSTRAINT c FOREIGN KEY (t_id) REFERENCES t NOT VALID", False),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0)", True),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0) NOT VALID", False),
    ("ALTER TABLE t ADD COLUMN c integer CHECK (c > 0)", True),
    ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", True),
    (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; "
        "ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        False,
    ),
    ("ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')", True),
    (
        "ALTER TABLE q ADD CONSTRAINT c CHECK (at IS NOT NULL AND at >= '2021-01-01' AND at < "
        "'2022-01-01') NOT VALID; ALTER TABLE q VALIDATE CONSTRAINT c; "
        "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
        False,
    ),
]
"""Statements whose last one reads every row, or reads none, since what was said before is enough.

The server says what it reads, at client_min_messages = debug1.
"""
READING = {"adding-foreign-key-constraint", "constraint-missing-not-valid"}
READING |= {"adding-not-nullable-field", "attaching-partition-without-check"}


@pytest.mark.parametrize(("text", "reads"), CHECKED)
def test_what_is_said_to_read_every_row_does(
    text: str, reads: bool, database: psycopg.Connection
) -> None:
    separate = text.replace("; ", "; COMMIT; BEGIN; ")
    least = {"attaching-partition-without-check": Severity.INFO}
    told = [
        one.rule
        for one in lint_migration(f"BEGIN; {separate}; COMMIT")
        if one.rule in READING and one.severity >= least.get(one.rule, Severity.CRITICAL)
    ]
    assert reads == bool(told)
    assert reads == read_at_last(database, text.split("; "))


@pytest.mark.pg(">= 18")
def test_not_null_is_believed_too(database: psycopg.Connection) -> None:
    texts = [
        "ALTER TABLE t ADD CONSTRAINT c NOT NULL a NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT c",
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    ]
    told = {one.rule for one in lint_migration(";\n".join(texts))}
    assert "adding-not-nullable-field" not in told
    assert not read_at_last(database, texts)


def read_at_last(connection: psycopg.Connection, texts: list[str]) -> bool:
    """Whether the server reads every row for the last of these statements."""
    said: list[str] = []
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL client_min_messages = debug1")
        for text in texts[:-1]:
            connection.execute(text)

        def note(notice: psycopg.errors.Diagnostic) -> None:
            said.append(notice.message_primary or "")

        connection.add_notice_handler(note)
        try:
            connection.execute(texts[-1])
        finally:
            connection.remove_notice_handler(note)
    return any(one.startswith(("verifying table", "validating foreign key")) for one in said)


@pytest.mark.parametrize(
    "use",
    [
        "UPDATE e SET m = 'new'",
        "ALTER TABLE e ALTER m SET DEFAULT 'new'",
        "CREATE POLICY p ON e USING (m = 'new')",
        "CREATE INDEX i ON e (m) WHERE m = 'new'",
        "DO $$ BEGIN UPDATE e SET m = 'new'; END $$",
        "CREATE FUNCTION f() RETURNS mood LANGUAGE sql AS $$ SELECT 'new'::mood $$",
        "CREATE FUNCTION f() RETURNS mood LANGUAGE sql BEGIN ATOMIC SELECT 'new'::mood; END",
        "CREATE FUNCTION f() RETURNS mood AS $$ BEGIN RETURN 'new'; END $$ LANGUAGE plpgsql",
        "COMMENT ON TYPE mood IS 'new'",
    ],
)
def test_a_new_enum_value_fails_where_it_is_said_to(use: str, database: psycopg.Connection) -> None:
    add = "ALTER TYPE mood ADD VALUE 'new'"
    told = {one.rule for one in lint_migration(f"BEGIN; {add}; {use}; COMMIT")}
    database.execute("create type mood as enum ('old')")
    try:
        with database.transaction(force_rollback=True):
            database.execute("create table e (m mood)")
            database.execute("insert into e values ('old')")
            database.execute(add)
            refused = False
            try:
                database.execute(use)
            except psycopg.errors.UnsafeNewEnumValueUsage:
                refused = True
            assert refused == ("enum-value-used-too-early" in told)
    finally:
        database.execute("drop type mood")


@pytest.mark.parametrize("name", ["creating-partition"])
def test_its_way_works_with_an_identity(name: str, database: psycopg.Connection) -> None:
    (rule,) = (one for one in RULES if one.name == name)
    with database.transaction(force_rollback=True):
        database.execute(
            "create table events (id bigint generated always as identity, at date not null) "
            "partition by range (at)"
        )
        database.execute(rule.passes)


@each_rule
def test_what_is_refused_in_a_transaction_is(rule: Rule, database: psycopg.Connection) -> None:
    """Each counterexample that the lint has nothing against in a transaction, and the others."""
    refused = {"cannot-run-in-transaction", "ban-concurrent-index-creation-in-transaction"}
    asked = [one for one in RULES if one.name in refused]
    for statement in read(rule.passes):
        if isinstance(statement.does, Transaction):
            continue
        told = lint_migration(statement.sql, rules=asked, in_transaction=True)
        with database.transaction(force_rollback=True):
            try:
                with database.transaction():
                    database.execute(statement.sql)
            except psycopg.errors.ActiveSqlTransaction:
                assert told, statement.sql
            except psycopg.Error:
                pass  # it names what is not there
            else:
                assert not told, statement.sql
