"""The look before a migration, on real servers: who is in the way, and what would fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.migrate import plan, preflight
from dbopt.migrate.looks import rows, sessions
from dbopt.migrate.steps import Action, Step, Wanted
from dbopt.pg import catalog, ddl, look
from dbopt.pg.canonical import canonical
from dbopt.pg.connect import Connection, connect
from dbopt.pg.health import quantity
from dbopt.pg.healthparts import Parameter
from dbopt.settings import Migrate
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.indexdef import parse_index
from tests.fix_gateway import Gateway
from tests.fix_pg import Server, fresh_database
from tests.support import wait_until

SETTINGS = Migrate(max_transaction_age=0.2, blocker_queries=True)
SCHEMA = """
CREATE TABLE people (id int PRIMARY KEY, mail text, city text, filler text);
INSERT INTO people SELECT n, 'mail' || n, 'city' || n % 9 FROM generate_series(1, 500) AS n;
CREATE TABLE other (id int);
CREATE INDEX people_gone ON people (city);
ANALYZE;
"""


@pytest.fixture(params=["pg_backend", "pg15_backend"])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database with the tables, on the embedded server and on PostgreSQL 15."""
    server: Server = request.getfixturevalue(request.param)
    with fresh_database(server) as made:
        with psycopg.connect(made, autocommit=True) as connection:
            connection.execute(SCHEMA)
        yield made


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as made:
        yield made


def _steps(connection: Connection, *texts: str) -> list[Step]:
    wanted = [Wanted(canonical(connection, parse_index(text))) for text in texts]
    return plan.make_plan(wanted, catalog.read(connection))


def _found(
    connection: Connection, *texts: str, rule: str = "", settings: Migrate = SETTINGS
) -> list[Finding]:
    found = preflight.look(connection, _steps(connection, *texts), settings)
    return [one for one in found if rule in ("", one.rule)]


def _drop(connection: Connection) -> list[Step]:
    gone = ddl.find(connection, "public", "people_gone")
    assert gone is not None
    return [Step(Action.DROP, gone.definition, gone)]


@pytest.fixture
def told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be told after a second is told after less."""
    monkeypatch.setattr(sessions, "_BRIEF", 0.1)


MAIL = "CREATE INDEX people_mail ON people (mail)"


@contextmanager
def _session(dsn: str, *statements: str, repeatable: bool = False) -> Iterator[Any]:
    """Somebody in a transaction in which these statements have run."""
    with psycopg.connect(dsn, application_name="somebody") as made:
        if repeatable:
            made.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for statement in statements:
            made.execute(statement.encode())
        yield made
        if not made.closed:
            made.rollback()


def _pids(connection: Connection, steps: list[Step]) -> list[int]:
    survey = preflight.survey(connection, steps, SETTINGS)
    return [session.pid for found in survey.blockers.values() for session in found]


def test_a_quiet_database_has_nothing_in_the_way(connection: Connection) -> None:
    found = _found(connection, MAIL)

    assert [] == [one for one in found if one.severity > Severity.INFO]
    assert [] == [one for one in found if one.examined]


def test_who_waits_for_whom(dsn: str, connection: Connection) -> None:
    """A build waits for writers of its table and for old snapshots, a drop for readers too."""
    build, drop = _steps(connection, MAIL), _drop(connection)
    cases: list[tuple[tuple[str, ...], bool, bool, bool]] = [
        (("SELECT count(*) FROM people",), False, False, True),
        (("SELECT count(*) FROM other",), False, False, False),
        (("SELECT count(*) FROM other",), True, True, False),
        (("UPDATE people SET city = 'x' WHERE id = 1",), False, True, True),
        (("UPDATE other SET id = 1",), False, False, False),
        (("DECLARE c CURSOR FOR SELECT * FROM other",), False, True, False),
        (("LOCK TABLE people IN SHARE UPDATE EXCLUSIVE MODE",), False, True, True),
        (("SELECT 1 FROM people WHERE id = 1 FOR SHARE",), False, False, True),
    ]
    for statements, repeatable, blocks_build, blocks_drop in cases:
        with _session(dsn, *statements, repeatable=repeatable) as somebody:
            pid = somebody.info.backend_pid
            told = (statements, repeatable)
            assert (told, blocks_build) == (told, pid in _pids(connection, build))
            assert (told, blocks_drop) == (told, pid in _pids(connection, drop))


def test_the_prediction_is_what_the_server_does(dsn: str, connection: Connection) -> None:
    """Each that is said to be in the way really is: the build waits for it and nobody else."""
    steps = _steps(connection, MAIL)
    with (
        _session(dsn, "UPDATE people SET city = 'x' WHERE id = 1") as writer,
        _session(dsn, "SELECT count(*) FROM people"),
        _session(dsn, "SELECT count(*) FROM other", repeatable=True) as reader,
        psycopg.connect(dsn, autocommit=True) as builder,
    ):
        told = set(_pids(connection, steps))
        assert {writer.info.backend_pid, reader.info.backend_pid} == told
        builder.execute("SET statement_timeout = 300")
        definition = steps[0].definition
        for name, in_the_way in (("a", writer), ("b", reader)):
            with pytest.raises(psycopg.errors.QueryCanceled):
                builder.execute(replace(definition, name=name).create_sql().encode())
            in_the_way.rollback()
        builder.execute("SET statement_timeout = 0")
        builder.execute(definition.create_sql().encode())


@pytest.mark.usefixtures("told_soon")
def test_a_transaction_that_is_too_old_forbids_a_build(dsn: str, connection: Connection) -> None:
    with _session(dsn, "SELECT 'secret' FROM other", repeatable=True) as somebody:
        pid = somebody.info.backend_pid
        old = wait_until(
            lambda: [
                one
                for one in _found(connection, MAIL, rule="old-transaction")
                if one.severity is Severity.CRITICAL
            ]
        )

    assert ["public.people_mail"] == [one.object for one in old]
    assert f"pid {pid} (user " in old[0].message
    assert "somebody, idle in transaction" in old[0].message
    assert old[0].message.endswith("which holds an old snapshot.")
    assert f"SELECT pg_terminate_backend({pid});" in old[0].remedy
    assert "SELECT $1 FROM other" == old[0].evidence["query"]
    assert "secret" not in str(old[0].to_dict())


@pytest.mark.usefixtures("told_soon")
def test_a_drop_is_only_warned_of(dsn: str, connection: Connection) -> None:
    drop = _drop(connection)
    with _session(dsn, "SELECT count(*) FROM people"):
        (old,) = wait_until(
            lambda: [
                one
                for one in preflight.look(connection, drop, SETTINGS)
                if one.rule == "old-transaction" and one.severity is Severity.WARNING
            ]
        )

    assert "which holds a lock on people." in old.message


def test_queries_are_shown_only_where_asked_for(dsn: str, connection: Connection) -> None:
    with _session(dsn, "UPDATE people SET city = 'x' WHERE id = 1"):
        quiet = replace(SETTINGS, blocker_queries=False)
        survey = preflight.survey(connection, _steps(connection, MAIL), quiet)

    ((session,),) = survey.blockers.values()
    assert "" == session.query


UNIQUE = {
    "(city)": True,
    "(mail)": False,
    "(filler)": False,  # all NULL: NULLs are distinct
    "(filler) NULLS NOT DISTINCT": True,
    "(city) WHERE id < 5": False,
    "(city) WHERE id < 50": True,
    "((id % 100))": True,
    "((true))": True,
    "((7), city)": True,
    "((7)) WHERE id = 5": False,
    "(city, id)": False,
    "(city, filler)": False,
    "(city text_pattern_ops)": True,
    '(mail COLLATE "C")': False,
}
"""Unique indexes, and whether rows are in their way."""


def test_duplicates_are_found(connection: Connection) -> None:
    """What is said to have duplicates the server refuses, and nothing else."""
    for unique, duplicates in UNIQUE.items():
        text = f"CREATE UNIQUE INDEX people_u ON people {unique}"
        found = _found(connection, text, rule="duplicates")
        assert (unique, duplicates) == (unique, bool(found))
        if not found:
            connection.execute(text.encode())
            connection.execute("DROP INDEX people_u")
            continue
        assert (Severity.CRITICAL, "public.people_u") == (found[0].severity, found[0].object)
        # What it gives to run by hand shows them.
        assert connection.execute(found[0].evidence["sql"]).fetchall()
        with pytest.raises(ddl.DUPLICATES):
            connection.execute(text.encode())


@pytest.mark.pg(">= 15")
def test_what_is_read_to_look_is_not_counted(connection: Connection) -> None:
    """Else each plan would raise the benefit of its own index."""
    read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'people'"
    steps = _steps(connection, "CREATE UNIQUE INDEX people_u ON people (mail)")
    connection.execute("SELECT count(filler) FROM people")
    connection.execute("SELECT pg_stat_force_next_flush()")
    before = connection.execute(read).fetchone()

    preflight.look(connection, steps, SETTINGS)
    connection.execute("SELECT pg_stat_force_next_flush()")

    assert before == connection.execute(read).fetchone()


def test_values_that_are_equal_by_collation_are_duplicates(pg15_dsn: str) -> None:
    """Debian's build has ICU, the embedded one has none."""
    with connect(pg15_dsn) as connection:
        connection.execute(SCHEMA)
        connection.execute(
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2',"
            " deterministic = false)"
        )
        connection.execute("UPDATE people SET mail = 'MAIL2' WHERE id = 1")

        assert [] == _found(connection, "CREATE UNIQUE INDEX u ON people (mail)", rule="duplicates")
        loose = "CREATE UNIQUE INDEX u ON people (mail COLLATE loose)"
        assert 1 == len(_found(connection, loose, rule="duplicates"))


def test_duplicates_that_cannot_be_searched_in_time_are_not_examined(
    dsn: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "CREATE UNIQUE INDEX u ON people (mail)"
    steps = _steps(connection, text)
    monkeypatch.setattr(rows, "DUPLICATES_TIMEOUT", 0.1)
    with _session(dsn, "LOCK TABLE people IN ACCESS EXCLUSIVE MODE") as holder:
        found = preflight.look(connection, steps, SETTINGS)
        assert holder.info.backend_pid in _pids(connection, steps)
    (one,) = [one for one in found if one.rule == "duplicates"]
    assert not one.examined
    assert "somebody has locked the table" in one.message

    monkeypatch.setattr(rows, "DUPLICATES_BYTES", 1)
    (one,) = _found(connection, text, rule="duplicates")
    assert (False, "SELECT mail, count(*)") == (one.examined, one.evidence["sql"][:21])


def test_values_that_are_too_long_for_a_btree(connection: Connection) -> None:
    noise = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, {}) n)"
    connection.execute("ALTER TABLE people ALTER filler SET STORAGE EXTERNAL")
    text = "CREATE INDEX people_filler ON people (filler)"
    assert [] == _found(connection, text, rule="long-values")

    connection.execute(f"UPDATE people SET filler = {noise.format(70)} WHERE id = 3")  # 2240
    (likely,) = _found(connection, text, rule="long-values")
    connection.execute(f"UPDATE people SET filler = {noise.format(90)} WHERE id = 3")  # 2880
    (sure,) = _found(connection, text, rule="long-values")

    assert (Severity.WARNING, Severity.CRITICAL) == (likely.severity, sure.severity)
    assert 2880 <= sure.evidence["longest_bytes"] < 2900
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        connection.execute(text.encode())
    assert [] == _found(connection, f"{text} WHERE id > 3", rule="long-values")


def test_a_role_without_rights(dsn: str, connection: Connection) -> None:
    role = f"look_{os.getpid()}"
    connection.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON people TO {role}")
    steps = _steps(connection, MAIL)
    try:
        with (
            connect(make_conninfo(dsn, user=role)) as poor,
            _session(dsn, "SELECT count(*) FROM other", repeatable=True),
        ):
            found = preflight.look(poor, steps, SETTINGS)
            connection.execute(f"ALTER TABLE people OWNER TO {role}")
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            owner = preflight.look(poor, steps, SETTINGS)
    finally:
        connection.execute("ALTER TABLE people OWNER TO CURRENT_USER")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert {
        ("privilege", "public.people"): Severity.CRITICAL,
    } == {(one.rule, one.object): one.severity for one in found if one.severity > Severity.INFO}
    hidden = {one.rule for one in found if not one.examined}
    assert {"old-transaction", "disk-space"} <= hidden
    (create,) = [one for one in owner if one.severity > Severity.INFO]
    assert "may create nothing in the schema public" in create.message


def test_a_database_without_temporary_tables(dsn: str, connection: Connection) -> None:
    role, database = f"temp_{os.getpid()}", connection.info.dbname
    connection.execute(f"CREATE ROLE {role} LOGIN; ALTER TABLE people OWNER TO {role}")
    connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    connection.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    try:
        with connect(make_conninfo(dsn, user=role)) as poor:
            found = preflight.look(poor, _steps(connection, MAIL), SETTINGS)
    finally:
        connection.execute("ALTER TABLE people OWNER TO CURRENT_USER")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    (one,) = [one for one in found if one.rule == "privilege"]
    assert f'GRANT TEMPORARY ON DATABASE "{database}" TO "{role}";' == one.remedy


def test_a_name_that_something_else_has(connection: Connection) -> None:
    steps = _steps(connection, MAIL)
    connection.execute("CREATE VIEW people_mail AS SELECT 1")

    found = preflight.look(connection, steps, SETTINGS)
    (one,) = [one for one in found if one.severity > Severity.INFO]

    assert ("name", "The name belongs to a view of the schema public.") == (one.rule, one.message)


def test_a_table_that_two_schemas_have(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA more; CREATE TABLE more.people (mail text)")
    connection.execute("SET search_path = public, more")

    (one,) = _found(connection, MAIL, rule="name")

    assert (Severity.INFO, "public.people") == (one.severity, one.object)
    assert ["more"] == one.evidence["schemas"]


def test_parts_of_a_partitioned_table_are_looked_at(dsn: str, connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE log (id int, kind int) PARTITION BY LIST (kind);"
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1) PARTITION BY RANGE (id);"
        "CREATE TABLE log_1a PARTITION OF log_1 DEFAULT;"
        "INSERT INTO log VALUES (1, 1), (1, 1)"
    )
    steps = _steps(connection, "CREATE UNIQUE INDEX log_id ON log (id, kind)")

    with _session(dsn, "UPDATE log_1a SET id = 1") as somebody:
        survey = preflight.survey(connection, steps, SETTINGS)
        pid = somebody.info.backend_pid

    assert [pid] == [one.pid for one in survey.blockers["public.log_id"]]
    (twice,) = [one for one in survey.findings if one.rule == "duplicates"]
    assert "FROM ONLY public.log_1a" in twice.evidence["sql"]
    (leaf,) = steps[0].partitions[0].partitions
    assert f"public.{leaf.definition.name}" == twice.object


def test_an_invalid_leftover_is_told(connection: Connection) -> None:
    with pytest.raises(ddl.DUPLICATES):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY u ON people (city)")

    found = _found(connection, "CREATE UNIQUE INDEX u ON people (city)")

    assert {"invalid", "duplicates"} <= {one.rule for one in found}


@pytest.mark.usefixtures("told_soon")
def test_a_vacuum_that_runs_is_told(dsn: str, connection: Connection) -> None:
    """An autovacuum gives way and is not told; one that somebody runs does not."""
    steps = _steps(connection, MAIL)
    connection.execute("DELETE FROM people WHERE id > 5")
    with psycopg.connect(dsn, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
        vacuum = pool.submit(other.execute, "VACUUM people")
        found = wait_until(
            lambda: [
                one for one in preflight.look(connection, steps, SETTINGS) if one.rule == "vacuum"
            ]
        )
        connection.execute("SELECT pg_cancel_backend(%s)", (other.info.backend_pid,))
        with pytest.raises(psycopg.errors.QueryCanceled):
            vacuum.result(10)
    assert Severity.INFO <= found[0].severity <= Severity.WARNING
    assert "SELECT pg_cancel_backend(" in found[0].remedy


def test_it_only_reads_and_is_bounded(dsn: str, connection: Connection) -> None:
    """What it leaves: the session's settings, and no transaction."""
    before = connection.execute("SELECT pg_current_xact_id_if_assigned() AS id").fetchone()
    _found(connection, MAIL)
    after = connection.execute(
        "SELECT current_setting('statement_timeout') AS s, current_setting('lock_timeout') AS l,"
        " current_setting('transaction_read_only') AS r"
    ).fetchone()

    assert {"id": None} == before
    assert {"s": "0", "l": "0", "r": "off"} == after


def test_the_numbers_of_parameters_are_bytes_and_seconds(connection: Connection) -> None:
    found = look.settings(connection)
    rows_ = connection.execute("SELECT name, setting, coalesce(unit, '') AS unit FROM pg_settings")
    for row in rows_.fetchall():
        value = found.get(row["name"])
        if isinstance(value, float) and value >= 0:
            assert quantity(Parameter(**row)) == value, row["name"]


def test_a_pooler_forbids_all(gateway: Gateway, pg_dsn: str) -> None:
    with connect(pg_dsn) as direct:
        direct.execute(SCHEMA)
        steps = _steps(direct, MAIL)
    with connect(gateway.dsn()) as pooled:
        survey = preflight.survey(pooled, steps, SETTINGS)

    (one,) = survey.findings
    assert ("pooler", Severity.CRITICAL) == (one.rule, one.severity)
    assert "is a connection pooler" in one.message
    assert {} == survey.blockers


def test_a_session_that_only_reads(pg_dsn: str) -> None:
    with connect(pg_dsn) as direct:
        direct.execute(SCHEMA)
        steps = _steps(direct, MAIL)
    with connect(pg_dsn, options="-c default_transaction_read_only=on") as reads:
        found = preflight.look(reads, steps, SETTINGS)

    assert ["read-only"] == [one.rule for one in found if one.severity is Severity.CRITICAL]
