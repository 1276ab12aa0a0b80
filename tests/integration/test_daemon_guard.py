"""The guard in a running daemon: observed, enforced, and in quarantine."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dbopt.migrate import runner
from dbopt.settings import Server, Settings
from dbopt.sql.fingerprint import fingerprint
from tests.integration.daemon_support import Daemon, dbopt, running
from tests.support import wait_until

SETUP = "CREATE TABLE things AS SELECT n AS id, 'x' AS name FROM generate_series(1, 2000) n"
WRITE = "UPDATE things SET name = 'topsecret'"
READ = "SELECT name FROM things WHERE id = 7"


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(SETUP)
        connection.execute("ANALYZE things")
    return pg_dsn


@pytest.fixture
def store(dsn: str) -> str:
    runner.upgrade(Settings(server=Server(dsn=dsn)), indexes=False)
    return dsn


def decisions(daemon: Daemon, calls: int) -> list[dict[str, Any]]:
    """The decisions at /guard, once they are of so many calls."""

    def counted() -> list[dict[str, Any]]:
        shown = daemon.get("/guard")["decisions"]
        return shown if sum(one["calls"] for one in shown) == calls else []

    return wait_until(counted, what=f"{calls} calls at /guard")


def sample(daemon: Daemon, name: str, **labels: str) -> float:
    text = daemon.answer("/metrics").text
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found[0] if found else -1.0


def refused(connection: psycopg.Connection[Any], text: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(text.encode())
    return caught.value


def is_refused(connection: psycopg.Connection[Any], text: str) -> bool:
    try:
        connection.execute(text.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


# Observe


def test_what_would_be_refused_is_counted_and_runs(dsn: str, tmp_path: Path) -> None:
    with running(dsn, tmp_path) as daemon, daemon.connect(application_name="web") as client:
        for _ in range(3):
            assert 2000 == client.execute(WRITE).rowcount
        client.execute(READ.encode())

        (one,) = decisions(daemon, 3)

        assert ("unqualified-write", "observed", "web", f"{fingerprint(WRITE):016x}") == (
            one["rule"], one["action"], one["application"], one["fingerprint"],
        )  # fmt: skip
        assert "UPDATE things SET name = $1" == one["query"]
        assert "does not say which rows" in one["message"]
        count = sample(
            daemon, "dbopt_guard_decisions_total", rule="unqualified-write", action="observed"
        )
        assert 3 == count
        assert 0 == sample(daemon, "dbopt_guard_questions_total"), "no statement waited"
        assert {"mode": "observe", "observed": 3, "refused": 0, "quarantined": 0} == (
            daemon.get("/status")["guard"]
        )
        assert "topsecret" not in daemon.answer("/guard").text
        shown = dbopt("status", http__port=int(daemon.http.rpartition(":")[2]))
        assert "Guard (observe): statements 3 would have been." in shown.stdout


def test_a_cost_is_observed_too(dsn: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"guard__max_cost": 5.0, "server__force_user": True}
    settings["guard__verdict_timeout"] = 30.0  # the statement comes once, however slow EXPLAIN is
    with running(dsn, tmp_path, **settings) as daemon, daemon.connect() as client:
        client.execute(READ.encode())
        (one,) = decisions(daemon, 1)
        assert ("cost", "observed") == (one["rule"], one["action"])
        assert 0 == sample(daemon, "dbopt_guard_cost_failures_total")


def test_off_counts_nothing(dsn: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"guard__mode": "off"}
    with running(dsn, tmp_path, **settings) as daemon, daemon.connect() as client:
        client.execute(WRITE)
        daemon.statement("UPDATE things")
        assert [] == daemon.get("/guard")["decisions"]


# Enforce


def test_a_refusal_from_end_to_end(dsn: str, tmp_path: Path) -> None:
    with (
        running(dsn, tmp_path, guard__mode="enforce") as daemon,
        daemon.connect(application_name="web") as client,
    ):
        error = refused(client, WRITE)
        assert ("21000", "ERROR") == (error.sqlstate, error.diag.severity)
        assert "statement refused by the guard: " in str(error.diag.message_primary)
        assert "Its complexity is " in str(error.diag.message_detail)
        assert f"{fingerprint(WRITE):016x} in guard.allow" in str(error.diag.message_hint)
        assert ("x",) == client.execute(READ.encode()).fetchone()
        refused(client, WRITE.lower())

        (one,) = decisions(daemon, 2)

        assert ("unqualified-write", "refused", 2) == (one["rule"], one["action"], one["calls"])
        assert 2 <= sample(daemon, "dbopt_guard_questions_total")
        count = sample(
            daemon, "dbopt_guard_decisions_total", rule="unqualified-write", action="refused"
        )
        assert 2 == count


def test_a_reload_changes_the_rules_for_clients_that_are_there(dsn: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[guard]\nmode = "enforce"\n')
    with running(dsn, tmp_path) as daemon, daemon.connect() as client:
        refused(client, WRITE)
        config.write_text('[guard]\nmode = "enforce"\nunqualified_writes = "allow"\n')
        daemon.signal(signal.SIGHUP)

        def runs() -> bool:
            try:
                return client.execute(WRITE).rowcount == 2000
            except psycopg.errors.CardinalityViolation:
                return False

        wait_until(runs, what="the new rules")


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_a_control_process_that_hangs(dsn: str, tmp_path: Path, fail: str) -> None:
    """What is known runs on at once; what is new waits once, and then goes by guard.fail."""
    settings: dict[str, Any] = {"guard__mode": "enforce", "guard__fail": fail}
    with running(dsn, tmp_path, **settings) as daemon, daemon.connect() as client:
        client.execute(READ.encode())
        daemon.signal(signal.SIGSTOP)
        try:
            assert ("x",) == client.execute(READ.encode()).fetchone()
            if fail == "open":
                assert 2000 == client.execute(WRITE).rowcount
            else:
                error = refused(client, WRITE)
                assert "58000" == error.sqlstate
                assert "has no verdict for this statement" in str(error.diag.message_primary)
        finally:
            daemon.signal(signal.SIGCONT)

        def judged() -> bool:
            try:
                return client.execute(WRITE).rowcount != 2000
            except psycopg.errors.CardinalityViolation:
                return True
            except psycopg.errors.SystemError:
                return False

        wait_until(judged, what="a verdict")
        unanswered = "dbopt_guard_unanswered_total"
        wait_until(lambda: sample(daemon, unanswered) >= 1, what="the metric")
        count = sample(daemon, "dbopt_guard_decisions_total", rule="unjudged", action="refused")
        assert (fail == "closed") == (count >= 1)


# Quarantine


def test_quarantine_of_what_many_clients_run(store: str, tmp_path: Path) -> None:
    """They see 42501, each in whatever form it runs it, and go on."""
    codes: dict[bool | None, list[str | None]] = {True: [], False: [], None: []}
    over = threading.Event()

    def work(prepare: bool | None) -> None:
        with daemon.connect() as client:
            while not over.is_set():
                try:
                    client.execute("SELECT name FROM things WHERE id = %s", [7], prepare=prepare)
                    codes[prepare].append(None)
                except psycopg.Error as error:
                    codes[prepare].append(error.sqlstate)
                client.execute("SELECT 1", prepare=prepare)

    def all_last(sqlstate: str | None) -> bool:
        return all(seen[-1:] == [sqlstate] for seen in codes.values())

    with running(store, tmp_path, guard__mode="enforce") as daemon:
        threads = [threading.Thread(target=work, args=(how,)) for how in codes]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: all_last(None), what="all to run")
            dbopt("guard", "quarantine", READ, dsn=store)
            wait_until(lambda: all_last("42501"), what="all to be refused")
            dbopt("guard", "release", READ, dsn=store)
            wait_until(lambda: all_last(None), what="all to run again")
        finally:
            over.set()
            for thread in threads:
                thread.join(20)
        assert {None, "42501"} == {code for seen in codes.values() for code in seen}


def test_quarantine_holds_without_a_restart_and_across_one(store: str, tmp_path: Path) -> None:
    hexed = f"{fingerprint(READ):016x}"
    with (
        running(store, tmp_path, guard__mode="enforce") as daemon,
        daemon.connect() as client,
    ):
        assert not is_refused(client, READ)
        done = dbopt("guard", "quarantine", READ, "--reason", "a test", dsn=store)
        assert 0 == done.returncode, done.stderr

        wait_until(lambda: is_refused(client, READ), what="the quarantine")

        error = refused(client, READ.replace("7", "8"))
        assert "42501" == error.sqlstate
        assert "it is in quarantine until" in str(error.diag.message_primary)
        assert "The reason given is: a test." in str(error.diag.message_detail)
        assert not is_refused(client, "SELECT id FROM things WHERE id = 7")
        assert 1 == sample(daemon, "dbopt_guard_quarantined")
        assert [hexed] == [one["fingerprint"] for one in daemon.get("/guard")["quarantine"]]

    with (
        running(store, tmp_path, guard__mode="enforce") as daemon,
        daemon.connect() as client,
    ):
        wait_until(lambda: is_refused(client, READ), what="the quarantine after a restart")
        assert 0 == dbopt("guard", "release", hexed, dsn=store).returncode
        wait_until(lambda: not is_refused(client, READ), what="the release")


def test_quarantine_ends_by_itself(store: str, tmp_path: Path) -> None:
    with (
        running(store, tmp_path, guard__mode="enforce") as daemon,
        daemon.connect() as client,
    ):
        dbopt("guard", "quarantine", READ, "--for", "1h", dsn=store)
        wait_until(lambda: is_refused(client, READ), what="the quarantine")
        with psycopg.connect(store, autocommit=True) as connection:
            connection.execute("UPDATE dbopt.quarantine SET expires_at = now() + interval '2 s'")
        wait_until(lambda: not is_refused(client, READ), what="its end")


def test_quarantine_of_another_database_and_in_observe(store: str, tmp_path: Path) -> None:
    with running(store, tmp_path) as daemon, daemon.connect() as client:
        dbopt("guard", "quarantine", READ, dsn=store)
        dbopt("guard", "quarantine", "SELECT 1", "--database", "other", dsn=store)
        wait_until(lambda: sample(daemon, "dbopt_guard_quarantined") == 2, what="both")
        for text in (READ, "SELECT 1"):
            assert not is_refused(client, text)
        (one,) = decisions(daemon, 1)
        assert ("quarantine", "observed") == (one["rule"], one["action"])


def test_without_a_store_there_is_no_quarantine_and_no_failure(dsn: str, tmp_path: Path) -> None:
    with (
        running(dsn, tmp_path, guard__mode="enforce", stats__enabled=False) as daemon,
        daemon.connect() as client,
    ):

        def looked() -> dict[str, Any] | None:
            jobs = {job["name"]: job for job in daemon.get("/status")["jobs"]}
            return jobs["quarantine"] if jobs["quarantine"]["runs"] else None

        job = wait_until(looked, what="a look at the quarantine")
        assert job
        assert "" == job["error"]
        assert not is_refused(client, READ)
