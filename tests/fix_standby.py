"""A standby of the embedded server, for what differs in recovery.

One a module: longer, it would replay what every other test writes.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.programs import Programs, embedded_bin_dir, unprivileged_account
from tests.fix_pg import in_memory
from tests.support import wait_until


@dataclass(frozen=True, slots=True)
class Standby:
    """A running standby, and its primary."""

    cluster: EmbeddedCluster
    primary: EmbeddedCluster

    def dsn(self, dbname: str) -> str:
        """The conninfo of that database on the standby, as the superuser."""
        return self.cluster.dsn(dbname)

    def catch_up(self) -> None:
        """Wait until all that the primary has written is replayed here."""
        with psycopg.connect(self.primary.dsn(), autocommit=True) as conn:
            # A record of its own: a position alone may lie behind a header that none follows.
            row = conn.execute("SELECT pg_logical_emit_message(false, '', '')::text").fetchone()
        assert row is not None
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as conn:
            wait_until(
                lambda: conn.execute(
                    "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row
                ).fetchone() == (True,),
                what="the standby to replay",
            )  # fmt: skip


@pytest.fixture(scope="module")
def pg_standby(pg_server: EmbeddedCluster) -> Iterator[Standby]:
    """A streaming standby of the session's embedded server, made by pg_basebackup."""
    with in_memory():
        directory = Path(tempfile.mkdtemp(prefix="dbopt-standby-"))
    try:
        _copy(pg_server, directory / "data")
        settings = {"fsync": "off", "hot_standby": "on", "primary_slot_name": ""}
        with EmbeddedCluster(directory, settings=settings) as cluster:
            standby = Standby(cluster, pg_server)
            standby.catch_up()
            yield standby
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _copy(primary: EmbeddedCluster, data: Path) -> None:
    """A base backup, owned by the account that servers run as."""
    command = [str(primary.bin("pg_basebackup")), "-d", primary.dsn(), "-D", str(data)]
    command += ["-R", "-X", "stream", "-c", "fast", "--no-sync"]
    subprocess.run(command, check=True, capture_output=True)
    programs = Programs(embedded_bin_dir(), unprivileged_account())
    for path in (data.parent, data, *data.rglob("*")):
        if not path.is_symlink():
            programs.give(path)
