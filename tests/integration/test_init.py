"""`dbopt init`, and what it made put to use against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.daemon_support import dbopt, environment


@pytest.fixture
def repository(tmp_path: Path, pg_dsn: str) -> Path:
    """An application's own repository, with a table to index and a configured server."""
    assert 0 == dbopt("init", ".", cwd=tmp_path).returncode
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace('# dsn = ""', f'dsn = "{pg_dsn}"', 1))
    (tmp_path / "indexes" / "orders.sql").write_text(
        "-- a customer's orders\nCREATE INDEX orders_customer ON orders (customer, at DESC);\n"
    )
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (customer int, at timestamptz)")
    return tmp_path


def indexes(dsn: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index "
            "WHERE indrelid = 'orders'::regclass"
        ).fetchall()


def test_dbopt_migrates_from_there(repository: Path, pg_dsn: str) -> None:
    check = dbopt("config", "check", cwd=repository)
    assert (0, "config.toml: 1 set, all right.\n") == (check.returncode, check.stdout)

    done = dbopt("migrate", "upgrade", "--json", cwd=repository)

    assert (0, "") == (done.returncode, done.stderr)
    assert "0005" == json.loads(done.stdout)["revision"]
    assert [("orders_customer", True)] == indexes(pg_dsn)
    again = dbopt("init", ".", cwd=repository)
    assert ". already has all of it." == again.stdout.splitlines()[0]


def test_plain_alembic_migrates_from_there(repository: Path, pg_dsn: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=repository, env=environment({}), capture_output=True, text=True,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert [("orders_customer", True)] == indexes(pg_dsn)
    assert "0005\n" == dbopt("migrate", "current", cwd=repository).stdout
