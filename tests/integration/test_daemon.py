"""The daemon as a whole: a real process in front of a real server."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from tests.fix_pg import Server, fresh_database
from tests.integration.daemon_support import Daemon, alive, dbopt, running
from tests.support import wait_until

SLEEP = "SELECT pg_sleep(0.06), 'hunter2'"


@pytest.fixture(scope="module")
def daemon(pg_backend: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests that leave it as it was; its store is there, statistics run."""
    with fresh_database(pg_backend) as dsn:
        assert 0 == dbopt("migrate", "upgrade", "--schema-only", dsn=dsn).returncode
        settings = {"trace__slow": 50, "stats__interval": 1}
        with running(dsn, tmp_path_factory.mktemp("daemon"), **settings) as made:
            yield made


# Serving


def test_psycopg_is_served(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        assert (42,) == connection.execute("SELECT %s + 2", (40,)).fetchone()
        with connection.transaction():
            connection.execute("CREATE TEMPORARY TABLE t (n int) ON COMMIT DROP")
            connection.execute("INSERT INTO t VALUES (1), (2)")
            assert (3,) == connection.execute("SELECT sum(n) FROM t").fetchone()


def test_psql_is_served(daemon: Daemon) -> None:
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("missing: psql (apt-get install postgresql-client)")
    done = subprocess.run(
        [psql, daemon.gateway_dsn(), "-XAtc", "SELECT 6 * 7"], capture_output=True, text=True
    )
    assert ("42\n", "", 0) == (done.stdout, done.stderr, done.returncode)


# HTTP


def test_it_lives_and_is_ready(daemon: Daemon) -> None:
    assert (200, "ok") == (daemon.answer("/healthz").status_code, daemon.answer("/healthz").text)
    assert {"ready": True, "reason": ""} == daemon.get("/readyz")


def test_its_metrics_can_be_read(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        connection.execute("SELECT 'metrics'")
    daemon.statement("SELECT $1")

    families = {f.name: f for f in text_string_to_metric_families(daemon.answer("/metrics").text)}

    assert 1 == families["dbopt_gateway_workers"].samples[0].value
    kinds = {s.labels["kind"]: s.value for s in families["dbopt_statements"].samples}
    assert kinds["read"] >= 1
    names = [s.name for s in families["dbopt_statement_duration_seconds"].samples]
    assert "dbopt_statement_duration_seconds_bucket" in names
    jobs = {s.labels["job"] for s in families["dbopt_job_runs"].samples}
    assert {"collect", "sample", "trace", "store", "store-upkeep", "hand-over", "settle"} <= jobs


def test_its_status(daemon: Daemon) -> None:
    status = daemon.get("/status")
    host, _, port = daemon.gateway.rpartition(":")
    assert {"host": host, "port": int(port)} == status["gateway"]
    assert 0 == status["worker_restarts"]
    assert alive(daemon.worker_pid())


def test_a_statement_is_shown_without_its_literals(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        for secret in ("hunter2", "hunter3"):
            connection.execute(f"SELECT 'quiet', '{secret}', 4242424242")
            connection.execute("SELECT 'quiet2' || %s", (secret,), prepare=True)

    statement = daemon.statement("SELECT $1, $2, $3")
    wait_until(lambda: daemon.statement("SELECT $1, $2, $3")["calls"] >= 2, what="two calls")
    assert "read" == statement["kind"]
    everything = daemon.answer("/statements?limit=1000").text
    assert not re.search("hunter|4242424242", everything)


def test_dbopt_status_asks_it(daemon: Daemon) -> None:
    port = int(daemon.http.rpartition(":")[2])
    done = dbopt("status", "--json", http__port=port)
    assert (0, "") == (done.returncode, done.stderr)
    assert daemon.process.pid != json.loads(done.stdout)["workers"][0]["pid"]
    assert "restarts: 0" in dbopt("status", http__port=port).stdout


# Tracing


def test_a_slow_statement_is_kept_with_its_plan_and_stored(daemon: Daemon) -> None:
    with daemon.connect(application_name="shop") as connection:
        connection.execute(SLEEP)

    (slow,) = wait_until(
        lambda: [one for one in daemon.get("/slow") if one["application"] == "shop"],
        what="the slow statement",
    )
    assert "SELECT pg_sleep($1), $2" == slow["query"]
    assert "read" == slow["kind"]
    assert slow["duration_ms"] >= 60
    path = f"/plans/{slow['fingerprint']}"
    wait_until(lambda: daemon.answer(path).status_code == 200, what="its plan")
    plan = daemon.get(path)
    assert "Result" in plan["lines"][0]

    with psycopg.connect(daemon.dsn) as connection:
        query = "SELECT text, plan FROM dbopt.slow_statement WHERE application = 'shop'"
        row = wait_until(lambda: connection.execute(query).fetchone(), what="the stored one")
    assert "SELECT pg_sleep($1), $2" == row[0]
    assert "Result" == row[1]["Plan"]["Node Type"]
    assert "hunter2" not in json.dumps([slow, plan, row], default=str)


def test_snapshots_are_taken_and_can_be_reported_on(daemon: Daemon) -> None:
    with psycopg.connect(daemon.dsn, autocommit=True) as connection:
        query = "SELECT count(DISTINCT at) >= 3 FROM dbopt.history"
        wait_until(lambda: (connection.execute(query).fetchone() or [False])[0], what="snapshots")

    done = dbopt("stats", "report", "--json", dsn=daemon.dsn)
    assert (0, "") == (done.returncode, done.stderr)
    assert "statements" in json.loads(done.stdout)
    assert {"ready": True, "reason": ""} == daemon.get("/status")["store"]


def test_nothing_secret_is_in_the_whole_log(daemon: Daemon) -> None:
    """The last one to use this daemon: it looks at what all of them have left."""
    with daemon.connect() as connection, pytest.raises(psycopg.errors.InvalidTextRepresentation):
        connection.execute("SELECT 'hunter2'::int")
    with pytest.raises(psycopg.OperationalError):
        daemon.connect(dbname="hunter9", password="hunter2")
    daemon.statement("SELECT $1::int")

    assert daemon.log()
    assert "hunter2" not in daemon.log_text()


def test_slow_statements_wait_for_the_store(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path, trace__slow=50, stats__interval=1) as daemon:
        with daemon.connect() as connection:
            connection.execute(SLEEP)
        wait_until(lambda: daemon.get("/slow"), what="the slow statement")
        store = daemon.get("/status")["store"]
        assert {
            "ready": False,
            "reason": "The store has no schema dbopt, or an old one. Run `dbopt migrate upgrade`.",
        } == store
        assert 0 == dbopt("migrate", "upgrade", "--schema-only", dsn=pg_dsn).returncode

        with psycopg.connect(pg_dsn, autocommit=True) as connection:
            query = "SELECT text, plan IS NOT NULL FROM dbopt.slow_statement"
            row = wait_until(lambda: connection.execute(query).fetchone(), what="the stored one")
        assert ("SELECT pg_sleep($1), $2", True) == row
        # A job that fails each second says so once.
        assert ["store-upkeep"] == [event["job"] for event in daemon.events("job failed")]
        assert "store-upkeep" == daemon.wait_event("job works again")["job"]


def test_a_store_of_its_own(pg_backend: Server, pg_dsn: str, tmp_path: Path) -> None:
    with fresh_database(pg_backend) as store:
        assert 0 == dbopt("migrate", "upgrade", "--schema-only", dsn=store).returncode
        settings = {"trace__slow": 50, "stats__enabled": False, "store__dsn": store}
        with running(pg_dsn, tmp_path, **settings) as daemon:
            with daemon.connect() as connection:
                connection.execute(SLEEP)
            with psycopg.connect(store, autocommit=True) as connection:
                query = "SELECT text FROM dbopt.slow_statement"
                row = wait_until(lambda: connection.execute(query).fetchone(), what="the stored")
        assert ("SELECT pg_sleep($1), $2",) == row
    with psycopg.connect(pg_dsn) as connection:
        assert (None,) == connection.execute("SELECT to_regnamespace('dbopt')").fetchone()


def test_what_was_slow_just_before_the_end_is_stored(pg_dsn: str, tmp_path: Path) -> None:
    assert 0 == dbopt("migrate", "upgrade", "--schema-only", dsn=pg_dsn).returncode
    with running(pg_dsn, tmp_path, trace__slow=50, stats__enabled=False) as daemon:
        with daemon.connect() as connection:
            connection.execute(SLEEP)
        assert 0 == daemon.terminate()
    with psycopg.connect(pg_dsn) as connection:
        row = connection.execute("SELECT text FROM dbopt.slow_statement").fetchone()
    assert ("SELECT pg_sleep($1), $2",) == row


# Reload


def test_a_reload_takes_in_a_new_threshold(pg_dsn: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[trace]\nslow = 5000\n")
    with running(pg_dsn, tmp_path, stats__enabled=False) as daemon, daemon.connect() as connection:
        connection.execute(SLEEP)
        daemon.statement("SELECT pg_sleep($1), $2")
        assert [] == daemon.get("/slow")

        config.write_text("[trace]\nslow = 50\nmax_slow = 7\n")
        daemon.signal(signal.SIGHUP)
        assert ["trace.max_slow"] == daemon.wait_event("reloaded")["needs_restart"]
        connection.execute(SLEEP)
        wait_until(lambda: daemon.get("/slow"), what="the slow statement")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("[trace]\nslow = 'fast'\n", 'config.toml:2: trace.slow: found "fast"; allowed is '),
        ("[trace\n", "config.toml:1: is not valid TOML: "),
    ],
)
def test_a_broken_configuration_changes_nothing(
    pg_dsn: str, tmp_path: Path, broken: str, said: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[trace]\nslow = 50\n")
    with running(pg_dsn, tmp_path, stats__enabled=False) as daemon:
        worker = daemon.worker_pid()
        config.write_text(broken)
        daemon.signal(signal.SIGHUP)

        assert said in daemon.wait_event("not reloaded")["error"]
        with daemon.connect() as connection:
            connection.execute(SLEEP)
        wait_until(lambda: daemon.get("/slow"), what="the slow statement")
        assert worker == daemon.worker_pid()


def test_a_user_list_that_broke_changes_nothing(pg_dsn: str, tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text('"postgres" "hunter2"\n')
    users.chmod(0o600)
    settings = {"gateway__auth_type": "scram-sha-256", "gateway__userlist": str(users)}
    with running(pg_dsn, tmp_path, stats__enabled=False, **settings) as daemon:
        users.write_text('"postgres" hunter2\n')
        daemon.signal(signal.SIGHUP)

        assert f"{users}:1: not an entry" in daemon.wait_event("not reloaded")["error"]
        with daemon.connect(password="hunter2") as connection:
            connection.execute("SELECT 1")
        assert 0 == daemon.get("/status")["worker_restarts"]
        assert "hunter2" not in daemon.log_text()


# The end


def is_told_to_go(client: psycopg.Connection[Any]) -> bool:
    """Whether a statement is answered by the end of the connection; it may come first.

    libpq drops the reason if that came together with the answer to the statement before.
    """
    try:
        client.execute("SELECT 1")
    except psycopg.OperationalError:
        return client.closed
    return False


def test_sigterm_lets_a_running_transaction_end(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path) as daemon:
        busy, idle = daemon.connect(), daemon.connect()
        idle.execute("SELECT 1")
        with busy.transaction():
            busy.execute("CREATE TABLE kept (n int)")
            daemon.signal(signal.SIGTERM)
            daemon.wait_event("draining")
            wait_until(lambda: is_told_to_go(idle), what="the end of the idle client")
            busy.execute("INSERT INTO kept VALUES (1)")
            assert daemon.process.poll() is None

        assert 0 == daemon.wait()
        assert "stopped" == daemon.log()[-1]["event"]
        busy.close()
        idle.close()
    with psycopg.connect(pg_dsn) as connection:
        assert (1,) == connection.execute("SELECT n FROM kept").fetchone()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    pg_dsn: str, tmp_path: Path, second: signal.Signals
) -> None:
    with (
        running(pg_dsn, tmp_path, gateway__shutdown_timeout=3600) as daemon,
        closing(daemon.connect()) as connection,
    ):
        worker = daemon.worker_pid()
        connection.execute("BEGIN")
        daemon.signal(signal.SIGTERM)
        daemon.wait_event("draining")
        daemon.signal(second)

        assert 130 == daemon.wait()
        wait_until(lambda: not alive(worker), what="the end of the worker")
        assert "Traceback" not in daemon.log_text()


def test_sigint_is_as_good_as_sigterm(pg_dsn: str, tmp_path: Path) -> None:
    with running(pg_dsn, tmp_path) as daemon:
        daemon.signal(signal.SIGINT)
        assert 0 == daemon.wait()


def test_who_does_not_end_is_cut_at_the_deadline(pg_dsn: str, tmp_path: Path) -> None:
    with (
        running(pg_dsn, tmp_path, gateway__shutdown_timeout=0.2) as daemon,
        closing(daemon.connect()) as connection,
    ):
        connection.execute("BEGIN")
        assert 0 == daemon.terminate()
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")


# What may be in the way


def test_a_wrong_password_is_told_and_not_logged(
    scram_server: EmbeddedCluster, tmp_path: Path
) -> None:
    dsn = make_conninfo(scram_server.dsn(), password="hunter2")
    # An own connection is waited for twice as long, at the end too.
    settings = {"stats__interval": 1, "pool__min_size": 1, "server__connect_timeout": 0.5}
    with running(dsn, tmp_path, **settings) as daemon:
        with pytest.raises(psycopg.OperationalError):
            daemon.connect()
        answer = daemon.answer("/readyz")
        assert 503 == answer.status_code
        daemon.wait_event("job failed")
        everything = answer.text + daemon.answer("/status").text + daemon.answer("/metrics").text
        assert 0 == daemon.terminate()
        daemon.log()
        assert "hunter2" not in daemon.log_text() + everything


@pytest.mark.parametrize("key", ["gateway.port", "http.port"])
def test_a_port_that_is_taken(pg_dsn: str, tmp_path: Path, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"gateway__port": 0, "http__port": 0} | {key.replace(".", "__"): port}
        done = dbopt("serve", dsn=pg_dsn, cwd=tmp_path, **ports)

    assert 2 == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"dbopt: {key}: cannot listen on 127.0.0.1:{port}: Address already")
    assert "" == done.stdout


def test_a_user_list_that_is_not_there(pg_dsn: str, tmp_path: Path) -> None:
    done = dbopt(
        "serve", dsn=pg_dsn, cwd=tmp_path, gateway__auth_type="scram-sha-256",
        gateway__userlist="none.txt", gateway__port=0, http__port=0,
    )  # fmt: skip
    assert 2 == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith("dbopt: none.txt: cannot read the user list: No such file")


def test_systemd_is_told(pg_dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(10.0)
        with running(pg_dsn, tmp_path, {"NOTIFY_SOCKET": str(path)}) as daemon:
            assert f"READY=1\nSTATUS=Listening on {daemon.gateway}" == sock.recv(200).decode()
            daemon.terminate()
            assert b"STOPPING=1" == sock.recv(200)


def test_it_listens_on_a_unix_socket_alone(pg_dsn: str, tmp_path: Path) -> None:
    place = tmp_path / "s"
    place.mkdir()
    settings = {"gateway__host": "", "gateway__unix_socket_dir": place, "gateway__port": 6432}
    with running(pg_dsn, tmp_path, **settings) as daemon:
        assert str(place / ".s.PGSQL.6432") == daemon.gateway
        with daemon.connect(host=str(place), port="6432") as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
        assert {"host": "", "port": 0} == daemon.get("/status")["gateway"]
        daemon.terminate()
    assert [] == list(place.iterdir())
