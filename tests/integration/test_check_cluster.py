"""`dbopt check` of what only a cluster of one's own can have: two phases, archiving, a standby."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dbopt.check.run import Outcome, check
from dbopt.demo.cluster import EmbeddedCluster
from tests.fix_pg import DEBIAN_15, Server, embedded, in_memory
from tests.integration.check_support import TOUCHY
from tests.support import wait_until

SETTINGS = {
    "max_prepared_transactions": "2",
    "wal_level": "logical",
    "archive_mode": "on",
    "archive_command": "false",
}
AMISS = """
CREATE ROLE plain LOGIN;
CREATE PUBLICATION pub FOR ALL TABLES;
CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION pub WITH (connect=false);
SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput');
CREATE TABLE held (id int PRIMARY KEY);
CREATE COLLATION german (provider = icu, locale = 'de');
CREATE TABLE words (word text COLLATE german PRIMARY KEY);
UPDATE pg_collation SET collversion = '0' WHERE collname = 'german';
ALTER SYSTEM SET max_connections = 77;
SELECT pg_reload_conf();
SELECT pg_switch_wal()
"""


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    if not DEBIAN_15.exists():
        pytest.skip("missing: /usr/lib/postgresql/15 (apt-get install postgresql-15)")
    with embedded(bin_dir=DEBIAN_15, settings=SETTINGS) as server:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            for statement in AMISS.strip().split(";\n"):
                admin.execute(statement)
            admin.execute("BEGIN; INSERT INTO held VALUES (1); PREPARE TRANSACTION 'it''s'")
            failed = "SELECT failed_count FROM pg_stat_archiver"
            wait_until(lambda: (admin.execute(failed).fetchone() or [0])[0], what="a failure")
        yield server


@pytest.fixture(scope="module")
def standby(primary: Server) -> Iterator[EmbeddedCluster]:
    """A standby that streams from the primary."""
    assert primary.cluster is not None
    with in_memory():
        directory = Path(tempfile.mkdtemp(prefix="dbopt-standby-"))
    directory.chmod(0o755)
    programs = primary.cluster._found
    data = directory / "data"
    data.mkdir(mode=0o700)
    programs.give(data)
    address = ["-h", "127.0.0.1", "-p", str(primary.cluster.port), "-U", "postgres"]
    programs.run("pg_basebackup", *address, "-D", str(data), "-R", "-c", "fast", "--no-sync")
    options = {**SETTINGS, "max_connections": "100", "hot_standby_feedback": "on"}
    try:
        with EmbeddedCluster(directory, bin_dir=DEBIAN_15, settings=options) as cluster:
            yield cluster
    finally:
        shutil.rmtree(directory)


def look(dsn: str) -> Outcome:
    return asyncio.run(check(dsn, TOUCHY))


def by_rule(outcome: Outcome) -> dict[str, str]:
    return {f.rule: f.object for f in outcome.findings if f.examined}


def test_the_primary(primary: Server) -> None:
    outcome = look(primary.dsn)
    expected = {
        "prepared-transactions": "it's",
        "archiver-failing": "server",
        "slot-inactive": "left_behind",
        "subscription-disabled": "sub",
        "collation-version": "public.german",
        "pending-restart": "server",
    }
    found = by_rule(outcome)
    assert expected == {rule: found.get(rule) for rule in expected}
    (waiting,) = [f for f in outcome.findings if f.rule == "pending-restart"]
    assert ["max_connections"] == waiting.evidence["parameters"]
    horizon = {f.object for f in outcome.findings if f.rule == "xmin-horizon"}
    assert {"it's", "left_behind"} <= horizon


def test_a_standby(primary: Server, standby: EmbeddedCluster) -> None:
    with psycopg.connect(standby.dsn(), autocommit=True) as admin:
        receiving = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        wait_until(lambda: (admin.execute(receiving).fetchone() or [0])[0], what="the stream")
        blind = {f.rule: f for f in look(standby.dsn()).findings if not f.examined}
        assert {"autovacuum-lag", "never-analyzed", "stale-statistics"} <= set(blind)
        assert "primary" in blind["autovacuum-lag"].remedy

        admin.execute("SELECT pg_wal_replay_pause()")
        paused = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
        wait_until(lambda: (admin.execute(paused).fetchone() or [0])[0], what="the pause")
        found = {f.rule: f for f in look(standby.dsn()).findings if f.examined}
        assert "SELECT pg_wal_replay_resume();" == found["standby-lag"].remedy
        assert "wal-receiver" not in found
        admin.execute("SELECT pg_wal_replay_resume()")
    assert "replication-lag" not in by_rule(look(primary.dsn))


def test_a_standby_without_its_primary(primary: Server, standby: EmbeddedCluster) -> None:
    with psycopg.connect(standby.dsn(), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
        admin.execute("SELECT pg_reload_conf()")
        none = "SELECT count(*) = 0 FROM pg_stat_wal_receiver"
        wait_until(lambda: (admin.execute(none).fetchone() or [0])[0], what="the receiver's end")
        assert "server" == by_rule(look(standby.dsn()))["wal-receiver"]
        plain = look(standby.dsn().replace("user=postgres", "user=plain"))
    (hidden,) = [f for f in plain.findings if f.rule == "wal-receiver"]
    assert not hidden.examined
    assert 'GRANT pg_read_all_settings TO "plain";' == hidden.remedy
