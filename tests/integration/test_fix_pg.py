"""The fixtures themselves: what every other test with a server stands on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from tests.fix_pg import Server, fresh_database, version_fits

ROOT = Path(__file__).parents[2]


def scalar(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


@pytest.mark.parametrize(
    ("condition", "major", "expected"),
    [(">= 16", 18, True), (">= 16", 15, False), ("< 18", 18, False), ("== 15", 15, True)],
)
def test_version_fits(condition: str, major: int, expected: bool) -> None:
    assert version_fits(condition, major) == expected


def test_version_condition_that_is_none() -> None:
    with pytest.raises(ValueError, match="not a version condition"):
        version_fits("16+", 16)


def test_each_database_is_new_and_dropped(pg_backend: Server) -> None:
    with fresh_database(pg_backend) as first, fresh_database(pg_backend) as second:
        names = {str(scalar(dsn, "SELECT current_database()")) for dsn in (first, second)}
        left_open = psycopg.connect(first)
    left_open.close()
    with psycopg.connect(pg_backend.dsn) as connection:
        query = "SELECT count(*) FROM pg_database WHERE datname = ANY(%s)"
        assert connection.execute(query, [list(names)]).fetchone() == (0,)
    assert len(names) == 2


def test_database_has_the_statistics_extension(pg_conn: psycopg.Connection) -> None:
    found = pg_conn.execute("SELECT count(*) >= 0 FROM pg_stat_statements").fetchone()
    assert found == (True,)


def test_debian_server(pg15_backend: Server, pg15_dsn: str) -> None:
    assert pg15_backend.major == 15
    assert str(scalar(pg15_dsn, "SHOW server_version_num")) == str(pg15_backend.version)


def test_given_server_and_version_marker(tmp_path: Path, pg_server: EmbeddedCluster) -> None:
    small = tmp_path / "test_small.py"
    small.write_text(
        "import pytest\n"
        f"def test_given(pg_backend): assert pg_backend.dsn == {pg_server.dsn()!r}\n"
        "@pytest.mark.pg('>= 99')\n"
        "def test_too_old(pg_dsn): raise AssertionError('not skipped')\n"
        "@pytest.mark.pg('>= 10')\n"
        "def test_fits(pg_conn): pg_conn.execute('SELECT 1')\n"
        "def test_ours(pg_server): raise AssertionError('not skipped')\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.fix_pg", "-p", "no:cacheprovider"]
    command += ["-rs", "--rootdir", str(tmp_path), f"--pg-dsn={pg_server.dsn()}", str(small)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "2 passed, 2 skipped" in done.stdout
    assert f"needs PostgreSQL >= 99, this is {pg_server.major}" in done.stdout
