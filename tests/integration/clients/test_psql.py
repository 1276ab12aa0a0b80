"""psql: its commands, its ways to send a statement, and how it shows an error."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from tests.integration.clients.routes import Both, Done, Route
from tests.support import wait_until

OPTIONS = ("-X", "-A", "-t", "-v", "VERBOSITY=verbose")

SCRIPTS: dict[str, tuple[str, str]] = {
    # name: the script, and a piece of what it must print
    "statements": ("SELECT 1; SELECT 2;\nSELECT 3\\; SELECT 4;", "1\n2\n3\n4\n"),
    "empty": (";\n\nSELECT;\n\\echo :SQLSTATE :ROW_COUNT", "00000 1\n"),
    "no semicolon": ("SELECT 'end'", "end"),
    "tags": (
        "CREATE TABLE t (x int);\nINSERT INTO t VALUES (1), (2);\nUPDATE t SET x = 3;\n"
        "DELETE FROM t WHERE x = 3;\n\\echo :ROW_COUNT",
        "CREATE TABLE\nINSERT 0 2\nUPDATE 2\nDELETE 2\n2\n",
    ),
    "error codes": (
        "SELECT 1/0;\n\\echo :ERROR :SQLSTATE :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\n"
        "SELECT * FROM nothing;\n\\echo :SQLSTATE\nSELECT 1;\n\\echo :ERROR :SQLSTATE :ROW_COUNT\n"
        "\\errverbose",
        "true 22012 22012 division by zero\n42P01\n1\nfalse 00000 1\n",
    ),
    "error with position and detail": (
        "SELECT x FROM pg_class;\nCREATE TABLE u (x int UNIQUE);\nINSERT INTO u VALUES (1), (1);\n"
        "DO $$BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'DB001', HINT = 'h', DETAIL = 'd'; END$$;"
        "\n\\echo :SQLSTATE",
        "DB001\n",
    ),
    "notices": (
        "DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; RAISE INFO 'three'; END$$;\n"
        "SET client_min_messages = warning;\nDO $$BEGIN RAISE NOTICE 'unseen'; END$$;\n"
        "DROP TABLE IF EXISTS nowhere;\nRESET client_min_messages;\nDROP TABLE IF EXISTS nowhere;",
        "DO\nSET\nDO\nDROP TABLE\n",
    ),
    "transactions": (
        "CREATE TABLE t (x int);\nBEGIN;\nINSERT INTO t VALUES (1);\nSAVEPOINT s;\n"
        "SELECT 1/0;\nSELECT 2;\nROLLBACK TO s;\nINSERT INTO t VALUES (2);\nCOMMIT;\n"
        "BEGIN;\nDELETE FROM t;\nSELECT 1/0;\nCOMMIT;\nSELECT * FROM t;",
        "ROLLBACK\n1\n2\n",
    ),
    "on_error_rollback": (
        "CREATE TABLE t (x int);\n\\set ON_ERROR_ROLLBACK on\nBEGIN;\nINSERT INTO t VALUES (1);\n"
        "SELECT 1/0;\nINSERT INTO t VALUES (2);\nCOMMIT;\nSELECT sum(x) FROM t;",
        "COMMIT\n3\n",
    ),
    "autocommit off": (
        "\\set AUTOCOMMIT off\nCREATE TABLE t (x int);\nCOMMIT;\nINSERT INTO t VALUES (1);\n"
        "ROLLBACK;\nSELECT count(*) FROM t;",
        "ROLLBACK\n0\n",
    ),
    "stop on error": ("\\set ON_ERROR_STOP on\nSELECT 1;\nSELECT 1/0;\nSELECT 2;", "1\n"),
    "gdesc": (
        "SELECT 1 AS a, 'x'::text AS b, now()::date AS c, 1.5::numeric(5, 2) AS d \\gdesc\n"
        "SELECT \\gdesc\nINSERT INTO nothing VALUES (1) \\gdesc",
        "a|integer\nb|text\nc|date\nd|numeric(5,2)\n",
    ),
    "bind": (
        "SELECT $1::int + $2::int \\bind 3 4 \\g\nSELECT $1 || $1 \\bind ab \\g\n"
        "SELECT $1::int \\bind x \\g\n\\echo :SQLSTATE\nSELECT 5;",
        "7\nabab\n22P02\n5\n",
    ),
    "named statements": (
        "SELECT $1::int * 2 \\parse s1\nSELECT 'other' \\parse s2\n\\bind_named s1 21 \\g\n"
        "\\bind_named s2 \\g\nSELECT 1 \\parse s1\n\\echo :SQLSTATE\n\\bind_named s1 4 \\g\n"
        "\\close_prepared s1\n\\bind_named s1 4 \\g\n\\echo :SQLSTATE\n\\close_prepared never\n"
        "\\bind_named s2 \\g",
        "42\nother\n42P05\n8\n\n26000\n\nother\n",
    ),
    "pipeline": (
        "\\startpipeline\nSELECT 1 \\bind \\sendpipeline\nSELECT $1::int \\bind 2 \\sendpipeline\n"
        "\\flushrequest\n\\getresults\nSELECT 3 \\bind \\sendpipeline\n\\syncpipeline\n"
        "SELECT 1/0 \\bind \\sendpipeline\nSELECT 5 \\bind \\sendpipeline\n\\syncpipeline\n"
        "SELECT 6 \\bind \\sendpipeline\n\\endpipeline\nSELECT 7;",
        "1\n2\n3\n",
    ),
    "gset, gexec, crosstab": (
        "SELECT 5 AS five, NULL AS none \\gset\n\\echo :five\n"
        "SELECT format('SELECT %s', g) FROM generate_series(1, 3) g \\gexec\n"
        "SELECT a, b, a * b FROM generate_series(1, 2) a, generate_series(1, 2) b \\crosstabview",
        "5\n1\n2\n3\n",
    ),
    "in portions": (
        "\\set FETCH_COUNT 3\nSELECT generate_series(1, 10);\nSELECT 1 / (5 - g) FROM "
        "generate_series(1, 9) g;\nSELECT 'after';",
        "after\n",
    ),
    "copy in line": (
        "CREATE TABLE t (x int, y text);\nCOPY t FROM stdin;\n1\tone\n2\t\\N\n\\.\n"
        "COPY t TO stdout;\nCOPY t FROM stdin;\nbad\tthree\n\\.\n\\echo :SQLSTATE\n"
        "COPY t (x) FROM stdin CSV HEADER;\nx\n3\n\\.\nSELECT count(*) FROM t;",
        "COPY 2\n1\tone\n2\t\\N\n22P02\nCOPY 1\n3\n",
    ),
    "copy and more in one message": (
        "COPY (SELECT 1) TO STDOUT\\; SELECT 2\\; COPY (SELECT 3) TO STDOUT;",
        "1\n2\n3\n",
    ),
    "catalog": (
        "CREATE SCHEMA s;\nCREATE TABLE s.t (id int PRIMARY KEY, name text DEFAULT 'x' NOT NULL);\n"
        "CREATE VIEW v AS SELECT * FROM s.t;\nCREATE FUNCTION f(int) RETURNS int LANGUAGE sql "
        "RETURN $1 + 1;\n\\d s.t\n\\d+ v\n\\dt s.*\n\\df f\n\\sf f\n\\sv v\n\\dn s\n\\dT+ s.*\n"
        "\\di s.*\n\\dx",
        "id|integer||not null|",
    ),
    "settings": (
        "SET TimeZone = 'Asia/Tokyo';\nSELECT '2024-01-01 00:00+00'::timestamptz;\n"
        "SET search_path = a, \"B c\", public;\nSHOW search_path;\nSET work_mem = '7MB';\n"
        "SHOW work_mem;\nSET extra_float_digits = -5;\nSELECT 1.23456789012345678::float8;\n"
        "BEGIN;\nSET LOCAL work_mem = '9MB';\nSHOW work_mem;\nCOMMIT;\nSHOW work_mem;\n"
        "BEGIN;\nSET work_mem = '11MB';\nROLLBACK;\nSHOW work_mem;\nRESET ALL;\nSHOW TimeZone;\n"
        "SHOW work_mem;\nSHOW application_name;\n\\encoding\n\\encoding LATIN1\nSHOW "
        "client_encoding;\n\\encoding",
        'a, "B c", public\nSET\n7MB\n',
    ),
    "set_config": (
        "SELECT set_config('work_mem', '6MB', false);\nSHOW work_mem;\n"
        "SELECT set_config('my.own', 'mine', false);\nSELECT current_setting('my.own');\n"
        "SET my.other = 'too';\nSELECT 1;\nSHOW my.other;\nSHOW my.own;",
        "6MB\n6MB\nmine\nmine\nSET\n1\ntoo\nmine\n",
    ),
    "SQL-level PREPARE": (
        "PREPARE p (int) AS SELECT $1 + 1;\nEXECUTE p (1);\nSELECT 0;\nEXECUTE p (2);\n"
        "PREPARE p AS SELECT 9;\n\\echo :SQLSTATE\n"
        "DEALLOCATE p;\nEXECUTE p (3);\n\\echo :SQLSTATE\n"
        "PREPARE q AS VALUES (7);\nEXPLAIN (COSTS OFF) EXECUTE q;\nDEALLOCATE ALL;\nEXECUTE q;\n"
        "PREPARE r AS SELECT 'r';\nCREATE TABLE made AS EXECUTE r;\nTABLE made;\nDISCARD ALL;\n"
        "EXECUTE r;\n\\echo :SQLSTATE",
        "PREPARE\n2\n0\n3\n42P05\nDEALLOCATE\n26000\n",
    ),
    "temp tables": (
        "CREATE TEMP TABLE mine (x int);\nINSERT INTO mine VALUES (1);\nSELECT * FROM mine;\n"
        "SELECT 2;\nSELECT * FROM mine;\nSELECT 3 AS x INTO TEMP TABLE more;\nTABLE more;\n"
        "DROP TABLE mine;\nDISCARD TEMP;\nTABLE more;",
        "1\n2\n1\nSELECT 1\n3\n",
    ),
    "roles": (
        "SET ROLE pg_monitor;\nSELECT current_user;\nSELECT 1;\nSELECT current_user;\nRESET ROLE;\n"
        "SELECT current_user = session_user;\nSET SESSION AUTHORIZATION pg_monitor;\n"
        "SELECT session_user;\nRESET SESSION AUTHORIZATION;\nSELECT session_user <> 'pg_monitor';",
        "pg_monitor\n1\npg_monitor\nRESET\nt\n",
    ),
    "cursors": (
        "BEGIN;\nDECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 9);\nFETCH 2 FROM c;\n"
        "FETCH LAST FROM c;\nMOVE FIRST FROM c;\nFETCH RELATIVE 1 FROM c;\nCLOSE c;\nCOMMIT;\n"
        "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 4);\nFETCH 2 FROM h;\nSELECT 0;\n"
        "FETCH ALL FROM h;\nCLOSE h;\nFETCH h;",
        "1\n2\n9\nMOVE 1\n2\nCLOSE CURSOR\n",
    ),
    "advisory locks": (
        "SELECT pg_advisory_lock(5);\nSELECT 1;\nSELECT objid, granted FROM pg_locks "
        "WHERE locktype = 'advisory' AND pid = pg_backend_pid();\nSELECT pg_advisory_unlock(5);\n"
        "SELECT pg_advisory_unlock(5);\nSELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database());",
        "\n1\n5|t\nt\nf\n0\n",
    ),
    "notify": (
        "LISTEN here;\nNOTIFY here, 'first';\nSELECT 1;\nBEGIN;\nNOTIFY here;\nSELECT 2;\nCOMMIT;\n"
        "UNLISTEN *;\nNOTIFY here, 'unheard';\nSELECT 3;",
        "NOTIFY\n1\nBEGIN\nNOTIFY\n2\nCOMMIT\nUNLISTEN\n",
    ),
    "two-phase": (
        "CREATE TABLE t (x int);\nBEGIN;\nINSERT INTO t VALUES (1);\nPREPARE TRANSACTION :'tag';\n"
        "\\echo :SQLSTATE\nSELECT count(*) FROM t;",
        "55000\n0\n",  # max_prepared_transactions is 0
    ),
    "explain and show": (
        "EXPLAIN (COSTS OFF) SELECT 1;\nSHOW server_version_num;\nVACUUM;\nANALYZE;\nCHECKPOINT;\n"
        "BEGIN;\nVACUUM;\n\\echo :SQLSTATE\nROLLBACK;\nSELECT 1\\; VACUUM;\n\\echo :SQLSTATE",
        "Result\n",
    ),
    "text of all kinds": (
        "SELECT 'größe ☃ \U0001f418', E'tab\\tline\\nend', repeat('x', 70000), length(repeat('é', "
        "100000)), NULL;\nSELECT * FROM generate_series(1, 3000);",
        "größe ☃ \U0001f418|tab\tline\nend|xxx",
    ),
    "two hundred columns": (
        "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(200)) + " \\gx\nSELECT count(*) FROM "
        "generate_series(1, 100000);",
        "c199|199\n",
    ),
}


def plain(done: Done) -> Done:
    """Without notifications: which statement they follow is a matter of time."""
    heard = r"Asynchronous notification .*\n"
    return Done(done.code, re.sub(heard, "", done.out), done.err)


def psql(cluster: EmbeddedCluster, route: Route, *arguments: str, stdin: str = "") -> Done:
    return plain(route.run(cluster.bin("psql"), *OPTIONS, *arguments, stdin=stdin))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(both: Both, pg_server: EmbeddedCluster, name: str) -> None:
    script, printed = SCRIPTS[name]
    done = both(lambda route: psql(pg_server, route, "-v", "tag=tag", stdin=script))
    assert printed in done.out, done


def test_commands_of_the_command_line(both: Both, pg_server: EmbeddedCluster) -> None:
    def scenario(route: Route) -> list[Done]:
        create = ("-c", "CREATE TABLE t (x int)", "-c", "INSERT INTO t VALUES (1)")
        failing = ("-1", "-c", "DELETE FROM t", "-c", "SELECT 1/0")
        rest = [failing, ("-c", "SELECT * FROM t; SELECT 5"), ("-l", "-o", "/dev/null")]
        return [psql(pg_server, route, *arguments) for arguments in [create, *rest]]

    assert [0, 1, 0, 0] == [done.code for done in both(scenario)]


def test_copy_of_files(both: Both, pg_server: EmbeddedCluster, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.bin"
    source.write_text("".join(f"{n},name {n}\n" for n in range(30_000)))
    script = (
        "CREATE TABLE t (id int, name text);\n"
        f"\\copy t FROM '{source}' CSV\n"
        f"\\copy (SELECT * FROM t ORDER BY id) TO '{target}' (FORMAT binary)\n"
        f"\\copy t (id) FROM '{source}' CSV\n"
        f"\\copy nothing FROM '{source}' CSV\n"
        f"\\copy t FROM '{tmp_path}/missing' CSV\n"
        f"\\copy t FROM '{target}' (FORMAT binary)\n"
        "SELECT count(*), sum(id) FROM t;\n"
    )

    def scenario(route: Route) -> tuple[Done, bytes]:
        return psql(pg_server, route, stdin=script), target.read_bytes()

    done, written = both(scenario)
    assert done.out.endswith("COPY 30000\n60000|899970000\n"), done
    assert b"PGCOPY" == written[:6]


def test_large_objects(both: Both, pg_server: EmbeddedCluster, tmp_path: Path) -> None:
    # \lo_import and \lo_export call functions by the protocol's own message.
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(bytes(range(256)) * 2000)
    script = (
        f"\\set QUIET on\n\\lo_import '{source}' note\n\\set new :LASTOID\n"
        "SELECT oid = :new, octet_length(lo_get(oid)) FROM pg_largeobject_metadata;\n"
        f"\\lo_export :new '{target}'\n\\lo_unlink :new\n\\lo_export 1 '{target}.no'\n"
        "SELECT count(*) FROM pg_largeobject;"
    )

    def scenario(route: Route) -> tuple[Done, bool]:
        return psql(pg_server, route, stdin=script), target.read_bytes() == source.read_bytes()

    done, same = both(scenario)
    assert same
    assert "t|512000\n0\n" == done.out, done


def test_ctrl_c(both: Both, pg_server: EmbeddedCluster, pg_conn: psycopg.Connection[Any]) -> None:
    def scenario(route: Route) -> Done:
        sleep = "SELECT pg_sleep(60)"
        command = [str(pg_server.bin("psql")), *OPTIONS, "-c", sleep]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=route.environment, **pipes) as process:
            wait_until(lambda: sleeping(pg_conn, route.dbname), what="psql to sleep")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        # Whether psql shows the server's error too is a race within psql.
        return Done(process.returncode, out, err.splitlines()[0])

    assert Done(1, "", "Cancel request sent") == both(scenario)


def sleeping(connection: psycopg.Connection[Any], dbname: str) -> bool:
    sql = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND query = 'SELECT pg_sleep(60)'"
    return connection.execute(sql, (dbname,)).fetchone() is not None
