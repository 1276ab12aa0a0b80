"""The scene of the faults: a database to migrate, its declared indexes, and who migrates it.

A database is a copy of one that has seen an earlier deploy: an index that is declared no more, one
of another definition under a declared name, one under another name, and an invalid leftover.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from tests.support import wait_until

LOCK_TIMEOUT = 1.0
"""Seconds: dbopt's, the other tool's and the application's."""
TEMPLATE = "fire"
ROWS = 120_000

ORDERS = """\
-- dbopt: owner=shop reason="orders of a customer"
CREATE INDEX idx_orders_customer ON orders (customer, at);
CREATE INDEX idx_orders_open ON orders (customer) WHERE state = 'open';
CREATE INDEX idx_orders_state ON orders (lower(state), id);
CREATE UNIQUE INDEX idx_orders_number ON orders (number);
CREATE INDEX idx_orders_total ON orders (total);
"""
EVENTS = "CREATE INDEX idx_events_kind ON events (kind, at);\n"
GONE = "CREATE INDEX idx_orders_gone ON orders (at, state);\n"
"""Declared and built once, and declared no more."""
FIRST_BUILT = "idx_orders_state"
"""The first of ORDERS that has to be built from nothing."""

SCHEMA = f"""
CREATE SEQUENCE numbers START 10000000;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL, state text NOT NULL,
    number bigint NOT NULL, total numeric NOT NULL DEFAULT 0, at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE events (at date NOT NULL, kind int, customer int) PARTITION BY RANGE (at);
CREATE TABLE events_2026_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')
    PARTITION BY HASH (customer);
CREATE TABLE events_2026_01_a PARTITION OF events_2026_01
    FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE events_2026_01_b PARTITION OF events_2026_01
    FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE events_2026_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO orders (customer, state, number, total)
    SELECT n % 5000, CASE WHEN n % 7 = 0 THEN 'open' ELSE 'done' END, n, n % 1000
      FROM generate_series(1, {ROWS}) n;
INSERT INTO events SELECT date '2026-01-01' + n % 59, n % 50, n % 5000
      FROM generate_series(1, {ROWS // 2}) n;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, events TO app;
GRANT USAGE ON SEQUENCE numbers TO app;
ANALYZE;
"""
HISTORY = """
CREATE INDEX idx_orders_total ON orders (at);
CREATE INDEX orders_by_customer ON orders (customer, at);
CREATE INDEX idx_orders_open ON orders (customer) WHERE state = 'open';
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_orders_open'::regclass;
CREATE INDEX unmanaged ON orders (state, total);
"""
"""What dbopt finds: another definition, another name, an invalid leftover, somebody else's."""

INDEXES = """
SELECT i.indrelid::regclass::text AS "table", c.relname AS name, i.indisvalid AS valid,
       pg_get_indexdef(i.indexrelid) AS sql,
       EXISTS (SELECT FROM pg_inherits WHERE inhrelid = i.indexrelid) AS attached
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid::regclass::text ~ '^(orders|events)'
"""


Process = subprocess.Popen[str]


@dataclass(slots=True)
class Ended:
    """One run of a tool: its exit code (negative: by that signal), its seconds, what it said."""

    code: int
    seconds: float
    out: str
    err: str

    @property
    def message(self) -> str:
        """The last line that says something."""
        return next((line for line in reversed(self.err.splitlines()) if line.strip()), "")

    def json(self) -> Any:
        """What it has printed as JSON."""
        return json.loads(self.out)


@dataclass
class Scene:
    """One database, the directory of what is declared for it, and the runs of a tool on it."""

    cluster: EmbeddedCluster
    name: str
    directory: Path
    ended: list[Ended] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def admin(self, **options: Any) -> psycopg.Connection[Any]:
        """A superuser's connection, in autocommit."""
        return psycopg.connect(self.dsn, autocommit=True, application_name="fault", **options)

    def start(self, *arguments: str) -> Process:
        """`dbopt index apply`, started."""
        return self.start_command(["index", "apply", "--yes", "--json", *arguments])

    def start_command(self, arguments: list[str]) -> Process:
        """A command of dbopt's, started."""
        command = [
            sys.executable, "-m", "dbopt", "--dsn", self.dsn,
            "-s", f"index.directory={self.directory}", "-s", f"migrate.lock_timeout={LOCK_TIMEOUT}",
            "-s", "server.name=fire", *arguments,
        ]  # fmt: skip
        return spawn(command, self.directory)

    def finish(self, process: Process, began: float) -> Ended:
        """Wait for a run, and keep how it ended."""
        ended = finish(process, began)
        self.ended.append(ended)
        return ended

    def apply(self, *arguments: str) -> Ended:
        """A whole run."""
        began = time.monotonic()
        return self.finish(self.start(*arguments), began)

    def wait_building(self, name: str = FIRST_BUILT, timeout: float = 20.0) -> int:
        """The pid of whoever builds that index, once somebody does."""
        with self.admin() as connection:
            row = wait_until(
                lambda: connection.execute(
                    "SELECT p.pid FROM pg_stat_progress_create_index p"
                    " JOIN pg_class c ON c.oid = p.index_relid WHERE c.relname = %s",
                    (name,),
                ).fetchone(),
                timeout,
                f"the build of {name}",
            )
        return int(row[0])

    def wait_connected(self, process: Process, timeout: float = 20.0) -> None:
        """Until a run that was just started has a connection, or has ended."""
        query = "SELECT FROM pg_stat_activity WHERE application_name = 'dbopt' AND usename ="
        query += " 'postgres' AND datname = current_database() AND backend_start > %s"
        with self.admin() as connection:
            since = connection.execute("SELECT now()").fetchone()
            wait_until(
                lambda: (
                    process.poll() is not None
                    or connection.execute(query, since).fetchone() is not None
                ),
                timeout,
                "the run to connect",
            )

    def wrong(self) -> list[str]:
        """What is not as declared, in words; empty when all is."""
        with self.admin() as connection:
            found = connection.execute(INDEXES).fetchall()
        return differences(found, expected(self.cluster))


def spawn(command: list[str], directory: Path) -> Process:
    """A tool, started."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DBOPT_", "PG"))}
    return subprocess.Popen(
        command, cwd=directory, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: Process, began: float) -> Ended:
    """Wait for a tool; it is killed when it takes minutes."""
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        raise AssertionError(f"a run hangs:\n{out}\n{err}") from None
    return Ended(process.returncode, time.monotonic() - began, out, err)


def make_template(cluster: EmbeddedCluster, directory: Path) -> None:
    """The database that all scenes are copies of, and one made fresh, to compare with."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE app LOGIN")
        connection.execute(f"ALTER ROLE app SET lock_timeout = '{LOCK_TIMEOUT}s'")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    with psycopg.connect(cluster.dsn(TEMPLATE), autocommit=True) as connection:
        connection.execute(SCHEMA)
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE fresh TEMPLATE {TEMPLATE}")
    (directory / "orders.sql").write_text(GONE)
    scene = Scene(cluster, TEMPLATE, directory)
    ended = scene.apply()
    assert ended.code == 0, ended
    with scene.admin() as connection:
        connection.execute(HISTORY)
    with psycopg.connect(cluster.dsn("fresh"), autocommit=True) as connection:
        connection.execute(ORDERS + EVENTS + "CREATE INDEX unmanaged ON orders (state, total)")
    (directory / "orders.sql").write_text(ORDERS)
    (directory / "events.sql").write_text(EVENTS)


@contextmanager
def scene(cluster: EmbeddedCluster, name: str, directory: Path) -> Iterator[Scene]:
    """A database of that name; it is dropped afterwards."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    made = Scene(cluster, name, directory)
    try:
        with made.admin() as connection:
            # The registry knows databases by name.
            connection.execute("UPDATE dbopt.managed_index SET database = current_database()")
        yield made
    finally:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def app_dsn(dsn: str) -> str:
    """The conninfo as the application's role."""
    return make_conninfo(dsn, user="app")


def expected(cluster: EmbeddedCluster) -> list[tuple[Any, ...]]:
    """The indexes of the database that was made fresh."""
    with psycopg.connect(cluster.dsn("fresh"), autocommit=True) as connection:
        return connection.execute(INDEXES).fetchall()


def differences(found: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> list[str]:
    """Invalid, missing, surplus and wrongly named indexes. A partition's may have any name."""
    wrong = [f"{name} is invalid" for _, name, valid, _, _ in found if not valid]
    have, want = sorted(map(_meaning, found)), sorted(map(_meaning, wanted))
    wrong += [f"missing: {one}" for one in want if have.count(one) < want.count(one)]
    wrong += [f"too many: {one}" for one in have if have.count(one) > want.count(one)]
    return wrong


def _meaning(row: tuple[Any, ...]) -> str:
    table, name, _, sql, attached = row
    meaning = re.sub(r"INDEX \S+ ON", "INDEX ON", sql)
    return f"{table} {'attached' if attached else name}: {meaning}"
