"""The scene of the faults: a database to migrate, its declared indexes, and who migrates it.

A database is a copy of one that has seen an earlier deploy: an index that is declared no more, one
of another definition under a declared name, one under another name, and an invalid leftover.
"""

from __future__ import annotations

import json
import os
import shutil
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

from dbopt.demo.cluster import EmbeddedCluster
from tests.faults import fire_state
from tests.faults.fire_network import Network
from tests.support import wait_until

LOCK_TIMEOUT = 1.0
"""Seconds: dbopt's, the other tool's and the application's."""
TEMPLATE, FRESH = "fire", "fresh"
ROWS = 90_000

ORDERS = """\
CREATE INDEX idx_orders_state ON orders (lower(state), id);
-- dbopt: owner=shop reason="orders of a customer"
CREATE INDEX idx_orders_customer ON orders (customer, at);
CREATE INDEX idx_orders_open ON orders (customer) WHERE state = 'open';
CREATE UNIQUE INDEX idx_orders_number ON orders (number);
CREATE INDEX idx_orders_total ON orders (total);
"""
EVENTS = "CREATE INDEX idx_events_kind ON events (kind, at);\n"
DRAFTS = "CREATE INDEX idx_drafts_word ON drafts (word);\n"
UNMANAGED = "CREATE INDEX unmanaged ON orders (state, total);\n"
GONE = "CREATE INDEX idx_orders_gone ON orders (at, state);\n"
"""Declared and built once, and declared no more."""
FIRST_BUILT = "idx_orders_state"
"""The first that is built: nobody counts what the application reads, so all go as declared."""

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
CREATE TABLE events_2026_03 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE TABLE drafts (word text);
INSERT INTO orders (customer, state, number, total)
    SELECT n % 5000, CASE WHEN n % 7 = 0 THEN 'open' ELSE 'done' END, n, n % 1000
      FROM generate_series(1, {ROWS}) n;
INSERT INTO events SELECT date '2026-01-01' + n % 59, n % 50, n % 5000
      FROM generate_series(1, {ROWS // 2}) n;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, events TO app;
GRANT USAGE ON SEQUENCE numbers TO app;
ANALYZE;
"""
HISTORY = f"""
CREATE INDEX idx_orders_total ON orders (at);
CREATE INDEX orders_by_customer ON orders (customer, at);
CREATE INDEX idx_orders_open ON orders (customer) WHERE state = 'open';
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_orders_open'::regclass;
{UNMANAGED}"""
"""What dbopt finds: another definition, another name, an invalid leftover, somebody else's."""

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
    processes: list[Process] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    """What was seen of the fault: it did strike."""
    application: list[str] = field(default_factory=list)
    """Errors of what the application does besides its load, such as an ALTER TABLE."""
    tool_dsn: str = ""
    """What the tool is given instead of `dsn`."""
    network: Network | None = None
    """What the tool goes through, where there is something."""
    standby: EmbeddedCluster | None = None
    settings: list[str] = field(default_factory=list)
    """More settings for dbopt, `key=value`."""
    stopped: int = 0
    """The process that stands still."""
    changed: str = ""
    """What the application has done to its schema meanwhile: the fresh database gets it too."""

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def saw(self, what: str) -> None:
        """Keep the evidence that the fault has struck."""
        self.struck.append(what)

    def admin(self, **options: Any) -> psycopg.Connection[Any]:
        """A superuser's connection, in autocommit."""
        return psycopg.connect(self.dsn, autocommit=True, application_name="fault", **options)

    def start(self, *arguments: str) -> Process:
        """`dbopt index apply`, started."""
        return self.start_command(["index", "apply", "--yes", "--json", *arguments])

    def start_command(self, arguments: list[str]) -> Process:
        """A command of dbopt's, started."""
        command = [
            sys.executable, "-m", "dbopt", "--dsn", self.tool_dsn or self.dsn,
            "-s", f"index.directory={self.directory}", "-s", f"migrate.lock_timeout={LOCK_TIMEOUT}",
            "-s", "server.name=fire", *(w for one in self.settings for w in ("-s", one)),
            *arguments,
        ]  # fmt: skip
        self.processes.append(spawn(command, self.directory))
        return self.processes[-1]

    def end_all(self) -> None:
        """Kill what a test that has failed has left running."""
        for process in self.processes:
            if process.stdout and not process.stdout.closed:
                process.kill()
                process.communicate()

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
            row: Any = wait_until(
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
        """What is not as in a fresh database, or is left of dbopt, in words; empty when all is."""
        with fresh_copy(self) as wanted, self.admin() as connection:
            found = fire_state.read(connection)
            wrong = fire_state.differences(found, wanted, exact=not self.changed)
            return wrong + fire_state.residues(connection)


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


def make_template(cluster: EmbeddedCluster, directory: Path) -> float:
    """The database that all scenes are copies of, and one made fresh, to compare with.

    Returns the seconds for which a run that nothing disturbs is at work.
    """
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE app LOGIN")
        connection.execute(f"ALTER ROLE app SET lock_timeout = '{LOCK_TIMEOUT}s'")
        # By what it reads the order of the steps would be chosen.
        connection.execute("ALTER ROLE app SET track_counts = off")
        for name in (TEMPLATE, "plain"):
            connection.execute(f"CREATE DATABASE {name}")
    template = Scene(cluster, TEMPLATE, directory)
    with template.admin() as connection:
        connection.execute(SCHEMA)
    _declare(directory, **{"1_orders": GONE})
    assert template.apply().code == 0, template.ended
    _declare(directory, **{"1_orders": ORDERS, "2_events": EVENTS, "3_drafts": DRAFTS})
    seconds = _make_fresh(cluster, directory)
    with template.admin() as connection:
        connection.execute(HISTORY)
    return seconds


def _declare(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / f"{name}.sql").write_text(text)


def _make_fresh(cluster: EmbeddedCluster, directory: Path) -> float:
    """Made by one run, so that partitions' indexes have their names; equal to the plain SQL's."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {FRESH} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    fresh, plain = Scene(cluster, FRESH, directory), Scene(cluster, "plain", directory)
    with fresh.admin() as connection, plain.admin() as other:
        connection.execute(f"DROP INDEX idx_orders_gone; {UNMANAGED}")
        ended = fresh.apply()
        assert ended.code == 0, ended
        connection.execute("DROP SCHEMA dbopt CASCADE")
        other.execute(SCHEMA + ORDERS + EVENTS + DRAFTS + UNMANAGED)
        made, wanted = fire_state.read(connection), fire_state.read(other)
    assert fire_state.differences(made, wanted, exact=False) == []
    return float(sum(one["ms"] for one in ended.json()["built"])) / 1000 + 0.2


@contextmanager
def fresh_copy(scene: Scene) -> Iterator[list[fire_state.Row]]:
    """The indexes of the fresh database, after what the application has done to its schema."""
    name = FRESH
    with psycopg.connect(scene.cluster.dsn(), autocommit=True) as connection:
        if scene.changed:
            name = f"{scene.name}_fresh"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {FRESH} STRATEGY file_copy")
        try:
            with psycopg.connect(scene.cluster.dsn(name), autocommit=True) as fresh:
                if scene.changed:
                    fresh.execute(scene.changed)
                yield fire_state.read(fresh)
        finally:
            if scene.changed:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def scene(cluster: EmbeddedCluster, name: str, directory: Path) -> Iterator[Scene]:
    """A database of that name, which is dropped afterwards, and a copy of what is declared."""
    mine = directory.with_name(f"{directory.name}_{name}")
    shutil.copytree(directory, mine)
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    made = Scene(cluster, name, mine)
    try:
        with made.admin() as connection:
            # The registry knows databases by name.
            connection.execute("UPDATE dbopt.managed_index SET database = current_database()")
            connection.execute("DELETE FROM dbopt.index_run")
        yield made
    finally:
        made.end_all()
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
