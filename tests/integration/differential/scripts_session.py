"""What a session keeps: settings, cursors, temporary tables, locks, notifications."""

from __future__ import annotations

from tests.integration.differential.script import Scripts, Step, batch, stateful, steps
from tests.integration.gateway_support import SYNC, bind, execute, parse, query, run

ROLE = "pg_read_all_data"
TIME = "SELECT '2026-03-01 12:00+00'::timestamptz, '1 day 2:03'::interval, '2026-02-01'::date"

SCRIPTS: Scripts = {
    "set and show": steps(
        query("SET TimeZone = 'Asia/Tokyo'"),
        query("SHOW TimeZone"),
        query("BEGIN; SET DateStyle = 'German'; SELECT 1/0"),
        query("ROLLBACK"),
        query("SHOW DateStyle; SET TimeZone = 'UTC'"),
    ),
    "set and see it in the rows": steps(
        query("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'"), query(TIME),
        run("SET IntervalStyle = 'iso_8601'") + SYNC, run(TIME) + SYNC, query("RESET TimeZone"),
        query(TIME),
    ),
    "set local": steps(
        query("BEGIN"), query("SET LOCAL TimeZone = 'Asia/Tokyo'"), query("COMMIT"),
        query("SHOW TimeZone"),
    ),
    "set local without a transaction": steps(
        query("SET LOCAL TimeZone = 'Asia/Tokyo'"), query("SHOW TimeZone"),
    ),
    "set rolled back": steps(
        query("SET application_name = 'one'"), query("BEGIN"),
        query("SET application_name = 'two'"), query("ROLLBACK"), query("SHOW application_name"),
        query("BEGIN; SET application_name = 'three'; SAVEPOINT s; SET application_name = 'four'"),
        query("ROLLBACK TO s"), query("COMMIT"), query("SHOW application_name"),
    ),
    "set and set back, pipelined": batch(
        query("SET TimeZone = 'Asia/Tokyo'"), run("SHOW TimeZone"), SYNC,
        query("SET TimeZone = 'UTC'"), run("SHOW TimeZone"), SYNC, ready=4,
    ),
    "set to values that need quotes": steps(
        query("SET application_name = 'it''s \\ \"odd\" '"), query("SHOW application_name"),
        query("SET search_path = 'Odd \"schema', public, \"$user\""), query("SHOW search_path"),
        query("SET search_path = ''"), query("SHOW search_path"),
    ),
    "set to nothing": steps(
        query("SET application_name = ''"), query("SHOW application_name"),
        query("SET application_name TO DEFAULT"),
    ),
    "set that is refused": steps(
        query("SET TimeZone = 'Nowhere/At all'"), query("SET nothing_such = 1"),
        query("SET max_connections = 1"), query("SHOW TimeZone"),
    ),
    "set within several statements": steps(
        query("SET TimeZone = 'Asia/Tokyo'; SELECT 1; SET DateStyle = 'German'"),
        query("SHOW TimeZone; SHOW DateStyle"),
        query("SET TimeZone = 'UTC'; SELECT 1/0"), query("SHOW TimeZone"),
    ),
    "set names and client encoding": steps(
        query("SET NAMES 'LATIN1'"), query("SHOW client_encoding"),
        query("SET client_encoding = 'UTF8'"), query("SHOW client_encoding"),
    ),
    "set time zone in other words": steps(
        query("SET TIME ZONE 3"), query("SHOW TimeZone"), query("SET TIME ZONE LOCAL"),
        query("SET SESSION TIME ZONE 'Europe/Berlin'"), query("SHOW TimeZone"),
    ),
    "set by a prepared statement": steps(
        parse("SET TimeZone = 'Asia/Tokyo'", "tokyo") + parse("SHOW TimeZone", "show") + SYNC,
        bind(name="tokyo") + execute() + SYNC, bind(name="show") + execute() + SYNC,
        query("RESET TimeZone"), bind(name="show") + execute() + SYNC,
    ),
    "reset all": steps(
        query("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'"), query("RESET ALL"),
        query("SHOW TimeZone; SHOW DateStyle"), query("RESET TimeZone"),
    ),
    "discard all": steps(
        query("SET TimeZone = 'Asia/Tokyo'"), query("DISCARD ALL"), query("SHOW TimeZone"),
    ),
    "transaction characteristics": steps(
        query("BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
        query("SHOW transaction_isolation"), query("COMMIT"), query("SHOW transaction_isolation"),
    ),
    "session characteristics": stateful(
        query("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
        query("INSERT INTO pets VALUES (1)"), query("SHOW transaction_read_only"),
        query("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"),
        query("INSERT INTO pets VALUES (1)"),
    ),
    "a setting that is not reported": stateful(
        query("SET statement_timeout = 20"), query("SHOW statement_timeout"),
        query("SELECT pg_sleep(5)"), run("SELECT pg_sleep(5)") + SYNC,
        query("RESET statement_timeout"), query("SELECT pg_sleep(0.03)"),
    ),
    "settings of the planner": stateful(
        query("SET enable_seqscan = off; SET work_mem = '3MB'"),
        query("SHOW enable_seqscan; SHOW work_mem"), query("RESET work_mem"),
        query("SHOW enable_seqscan; SHOW work_mem"), query("RESET ALL"),
        query("SHOW enable_seqscan"),
    ),
    "a setting of an application": stateful(
        query("SET app.tenant = '42'"), query("SELECT current_setting('app.tenant')"),
        query("BEGIN; SET LOCAL app.tenant = '43'"), query("SELECT current_setting('app.tenant')"),
        query("COMMIT"), query("SELECT current_setting('app.tenant')"),
        query("RESET app.tenant"), query("SELECT current_setting('app.tenant')"),
    ),
    "set_config": stateful(
        query("SELECT set_config('app.tenant', 'a', false)"),
        query("SELECT current_setting('app.tenant')"),
        run("SELECT set_config($1, $2, false)", "app.tenant", "it's b") + SYNC,
        query("SELECT current_setting('app.tenant')"),
        query("BEGIN; SELECT set_config('app.tenant', 'c', true)"), query("COMMIT"),
        query("SELECT current_setting('app.tenant')"),
    ),
    "set_config of what is reported": steps(
        query("SELECT set_config('TimeZone', 'Asia/Tokyo', false)"), query("SHOW TimeZone"),
        query("SELECT set_config('timezone', 'UTC', false)"),
        query("SELECT set_config('DATESTYLE', 'German', false)"),
        query("SHOW TimeZone; SHOW DateStyle"),
    ),
    "role": stateful(
        query(f"SET ROLE {ROLE}"), query("SELECT current_user"),
        query("INSERT INTO pets VALUES (1)"),
        query("RESET ROLE"), query("SELECT current_user = session_user"),
    ),
    "role, in a transaction": steps(
        query(f"BEGIN; SET LOCAL ROLE {ROLE}"), query("SELECT current_user"), query("COMMIT"),
        query("SELECT current_user = session_user"),
    ),
    "session authorization": stateful(
        query(f"SET SESSION AUTHORIZATION {ROLE}"), query("SELECT session_user, current_user"),
        query("RESET SESSION AUTHORIZATION"), query("SELECT session_user = current_user"),
    ),
    "temporary table": stateful(
        query("CREATE TEMP TABLE t (x int)"), query("INSERT INTO t VALUES (1), (2)"),
        run("SELECT sum(x) FROM t") + SYNC, parse("SELECT count(*) FROM t", "c") + SYNC,
        bind(name="c") + execute() + SYNC, query("DROP TABLE t"), bind(name="c") + execute() + SYNC,
        query("SELECT 1"),
    ),
    "temporary table in a batch": stateful(
        run("CREATE TEMP TABLE t AS SELECT 1 AS x") + SYNC, run("SELECT x FROM t") + SYNC,
        query("DISCARD TEMP"), query("SELECT x FROM t"),
    ),
    "temporary table of a transaction": steps(
        query("BEGIN; CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1 AS x"),
        query("SELECT x FROM t"), query("COMMIT"), query("SELECT x FROM t"),
    ),
    "temporary view and sequence": stateful(
        query("CREATE TEMP VIEW v AS SELECT 5 AS x; CREATE TEMP SEQUENCE q"),
        query("SELECT x FROM v"), query("SELECT nextval('q'), nextval('q')"),
        query("SELECT lastval()"),
        query("DROP VIEW v; DROP SEQUENCE q"),
    ),
    "select into temp": stateful(
        query("SELECT 1 AS x INTO TEMP t"), query("SELECT x FROM t"), query("DROP TABLE t"),
    ),
    "cursor with hold": stateful(
        query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)"),
        query("FETCH 2 FROM c"), query("COMMIT"), query("FETCH 2 FROM c"), query("SELECT 1"),
        query("FETCH 2 FROM c"), query("CLOSE c"), query("FETCH c"),
    ),
    "cursor with hold, alone": stateful(
        query("DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3)"), query("FETCH c"),
        run("FETCH ALL FROM c") + SYNC, query("CLOSE ALL"), query("FETCH c"),
    ),
    "advisory lock": stateful(
        query("SELECT pg_advisory_lock(72)"), query("SELECT 1"),
        query("SELECT pg_advisory_unlock(72)"), query("SELECT pg_advisory_unlock(72)"),
    ),
    "advisory lock, tried and shared": stateful(
        query("SELECT pg_try_advisory_lock(73), pg_try_advisory_lock(73)"),
        run("SELECT pg_try_advisory_lock_shared(74)") + SYNC,
        query("SELECT pg_advisory_unlock(73), pg_advisory_unlock(73), pg_advisory_unlock(73)"),
        query("SELECT pg_advisory_unlock_shared(74)"), query("SELECT pg_advisory_unlock_all()"),
    ),
    "currval": stateful(
        query("CREATE TEMP SEQUENCE q"), query("SELECT nextval('q')"), query("SELECT currval('q')"),
        query("DISCARD SEQUENCES"), query("SELECT currval('q')"), query("DROP SEQUENCE q"),
    ),
    "listen and be notified": stateful(
        query("LISTEN news"), Step(query("NOTIFY news, 'one'"), b"ZA", 2),
        Step(query("SELECT pg_notify('news', 'two')"), b"ZA", 2),
        query("UNLISTEN news"), query("NOTIFY news, 'unheard'"), query("SELECT 1"),
    ),
    "listen to several": stateful(
        query('LISTEN a; LISTEN "B c"'), Step(query("NOTIFY a"), b"ZA", 2),
        Step(query('NOTIFY "B c", \'x\''), b"ZA", 2), query("NOTIFY b"), query("UNLISTEN *"),
        query("NOTIFY a"), query("SELECT 1"),
    ),
    "listen, extended": stateful(
        run("LISTEN news") + SYNC, Step(run("NOTIFY news, 'one'") + SYNC, b"ZA", 2),
        run("UNLISTEN *") + SYNC, query("SELECT 1"),
    ),
    "notified at the commit": stateful(
        query("LISTEN news"), query("BEGIN; NOTIFY news, 'a'; NOTIFY news, 'a'"),
        Step(query("COMMIT"), b"ZA", 2), query("BEGIN; NOTIFY news, 'b'"), query("ROLLBACK"),
        query("UNLISTEN news"), query("SELECT 1"),
    ),
    "asyncpg's reset": steps(
        query("SET TimeZone = 'Asia/Tokyo'"),
        query("SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"),
        query("SHOW TimeZone"),
    ),
    "state in a block": stateful(
        query("DO $$BEGIN PERFORM set_config('app.tenant', 'do', false); END$$"),
        query("SELECT current_setting('app.tenant')"),
        query("DO $$BEGIN CREATE TEMP TABLE t AS SELECT 6 AS x; END$$"), query("SELECT x FROM t"),
        query("DISCARD ALL"), query("SELECT x FROM t"),
    ),
}  # fmt: skip
