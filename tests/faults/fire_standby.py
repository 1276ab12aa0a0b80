"""A standby that lags: no step begins until it has caught up."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from dbopt.demo.cluster import EmbeddedCluster
from tests.faults.fire_scene import Process, Scene
from tests.faults.fire_strikes import Again
from tests.fix_pg import in_memory
from tests.fix_standby import _copy
from tests.support import wait_until

LAG = 1.0
"""Seconds that a standby may lag."""
ASKED = """
SELECT query_start FROM pg_stat_activity
 WHERE application_name = 'dbopt' AND datname = current_database()
   AND query LIKE '%FROM pg_stat_replication%'
"""
LAGS = "SELECT FROM pg_stat_replication WHERE replay_lag > %s * interval '1 s'"


@contextmanager
def lagging(scene: Scene) -> Iterator[None]:
    """A standby whose replay stands still, until `resumes`."""
    with in_memory():
        directory = Path(tempfile.mkdtemp(prefix="dbopt-fire-"))
    try:
        _copy(scene.cluster, directory / "data")
        settings = {
            "fsync": "off",
            "max_prepared_transactions": "5",
            "max_connections": "60",
        }
        programs = scene.cluster.bin("postgres").parent
        with EmbeddedCluster(directory, settings=settings, bin_dir=programs) as standby:
            scene.settings.append(f"migrate.max_replication_lag={LAG}")
            _pause(standby, scene)
            scene.standby = standby
            yield
    finally:
        scene.settings.clear()
        shutil.rmtree(directory, ignore_errors=True)


def _pause(standby: EmbeddedCluster, scene: Scene) -> None:
    with psycopg.connect(standby.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
    with scene.admin() as connection:
        # The load goes on writing.
        wait_until(lambda: connection.execute(LAGS, (LAG,)).rowcount, 60, "the standby to lag")


def resumes(scene: Scene, process: Process, again: Again) -> None:
    """The standby goes on after it was asked for again and again, and nothing was built."""
    asked: set[object] = set()
    with scene.admin() as connection:

        def waits() -> bool:
            asked.update(connection.execute(ASKED).fetchall())
            return len(asked) > 3 or process.poll() is not None

        wait_until(waits, 60, "the run to wait for the standby")
        built = connection.execute("SELECT to_regclass('idx_orders_state')").fetchone()
    if built == (None,) and process.poll() is None:
        scene.saw("it waited for the standby")
    assert scene.standby is not None
    with psycopg.connect(scene.standby.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_resume()")
