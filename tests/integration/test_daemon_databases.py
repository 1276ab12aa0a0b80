"""Sections of databases in the file of a running daemon: at the start, at a reload, in plans."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.integration.daemon_support import Daemon, dbopt, running
from tests.support import wait_until


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def real(dsn: str) -> Any:
    """The database's own name."""
    return conninfo_to_dict(dsn)["dbname"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[databases.shop]\ndsn = "nonsense hunter2"',
            "dbopt: databases.shop: dsn: is not a PostgreSQL connection string.",
        ),
        ('[databases.shop]\ndsn = "port=x"', "dbopt: databases.shop: port='x' is not a port."),
        ("[databases.shop]\nmax_sise = 1", "dbopt: config.toml:2: databases.shop.max_sise: there"),
    ],
)
def test_a_database_that_leads_nowhere(pg_dsn: str, config: Path, text: str, said: str) -> None:
    config.write_text(text)
    done = dbopt("serve", dsn=pg_dsn, cwd=config.parent, gateway__port=0, http__port=0)
    assert 2 == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
    assert "hunter2" not in line


def test_a_plan_is_taken_where_the_statement_ran(pg_dsn: str, config: Path) -> None:
    config.write_text(f'[databases.shop]\ndbname = "{real(pg_dsn)}"\n[trace]\nslow = 50\n')
    with (
        running(pg_dsn, config.parent, stats__enabled=False) as daemon,
        daemon.connect(dbname="shop") as connection,
    ):
        connection.execute("SELECT pg_sleep(0.06)")
        slow = wait_until(lambda: daemon.get("/slow"), what="the slow statement")[0]
        assert "shop" == slow["database"]
        path = f"/plans/{slow['fingerprint']}"
        wait_until(lambda: daemon.answer(path).status_code == 200, what="its plan")


def refused(daemon: Daemon, name: str) -> str:
    """Why a client of that database is not let in; "" where it is."""
    try:
        daemon.connect(dbname=name).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def test_a_reload_of_the_file(pg_dsn: str, config: Path) -> None:
    name = real(pg_dsn)
    config.write_text(f'[databases.shop]\ndbname = "{name}"\n')
    with running(pg_dsn, config.parent, stats__enabled=False) as daemon:
        assert "" == refused(daemon, "shop")
        assert f'database "{name}" does not exist' in refused(daemon, name)

        config.write_text(f'[databases."*"]\ndbname = "{name}"\nmax_db_clients = 1\n')
        daemon.signal(signal.SIGHUP)
        assert [] == daemon.wait_event("reloaded")["needs_restart"]
        wait_until(lambda: not refused(daemon, name), what="the reloaded databases")
        wait_until(lambda: not refused(daemon, "any"), what="the wildcard")
        with daemon.connect():
            assert "max_db_clients is 1" in refused(daemon, name)

        config.write_text('[databases.shop]\nport = "x"\n')
        daemon.signal(signal.SIGHUP)
        assert "databases.shop.port" in daemon.wait_event("not reloaded")["error"]
        assert "" == refused(daemon, "any")
