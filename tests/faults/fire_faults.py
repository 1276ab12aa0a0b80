"""What goes wrong while indexes are built: each fault, when it strikes and how it ends."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.fire_scene import FIRST_BUILT, Ended, Process, Scene
from tests.support import wait_until

HOLD = 2.0
"""Seconds that a blocker stays once the build waits for it: longer than any lock_timeout."""
SNAPSHOT = ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class")
WRITER = ("BEGIN", "UPDATE orders SET total = 0 WHERE id = 100000")
HOLDER = ("BEGIN", "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
DUPLICATES = (
    "INSERT INTO orders (customer, state, number) SELECT 1, 'done', number FROM orders LIMIT 3"
)
RESTARTED = frozenset({"57P01", "57P02", "57P03", "08006", "08001", "08003", "OperationalError"})
"""What an application meets when its server restarts, whoever stands between."""
WAITS_FOR = """
SELECT FROM pg_stat_activity a WHERE %s = ANY (pg_blocking_pids(a.pid)) AND a.usename = 'postgres'
"""
SMALL = 2
"""MiB of the small disk: less than one of the indexes needs."""

Around = Callable[[Scene], AbstractContextManager[Any]]
Again = Callable[[], Ended]
"""Makes another run of the same tool."""
Strike = Callable[[Scene, Process, Again], None]


@dataclass(frozen=True)
class Fault:
    """One fault. `around` holds while the first run goes, `during` strikes in its middle.

    `codes`: how dbopt's first run may end; `says`: what it must then say, a regular expression.
    `remedy` does what the message asks for. `tolerated`: SQLSTATEs that the application meets
    whether or not anybody migrates. `index`: the index that another tool is to build.
    """

    name: str
    around: Around = field(default=lambda scene: nullcontext())
    during: Strike = field(default=lambda scene, process, again: None)
    arguments: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset({0})
    says: str = ""
    remedy: Callable[[Scene], None] = field(default=lambda scene: None)
    tolerated: frozenset[str] = frozenset()
    index: str = FIRST_BUILT


@contextmanager
def holding(statements: tuple[str, ...], seconds: float | None, scene: Scene) -> Iterator[None]:
    """A transaction that keeps what its statements take, for so long once it is waited for.

    None: for as long as the body runs.
    """
    with psycopg.connect(scene.dsn, application_name="blocker", autocommit=True) as blocker:
        for statement in statements:
            blocker.execute(statement)
        done = threading.Event()
        thread = threading.Thread(target=_let_go, args=(scene, blocker, seconds, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _let_go(
    scene: Scene, blocker: psycopg.Connection[Any], seconds: float | None, done: threading.Event
) -> None:
    if seconds is not None:
        with scene.admin() as connection:
            while not (_is_waited_for(connection, blocker) or done.wait(0.02)):
                pass
    done.wait(seconds)
    blocker.execute("ROLLBACK")


def _is_waited_for(connection: psycopg.Connection[Any], blocker: psycopg.Connection[Any]) -> bool:
    row = connection.execute(WAITS_FOR, (blocker.info.backend_pid,)).fetchone()
    return row is not None


@contextmanager
def vacuuming(scene: Scene) -> Iterator[None]:
    """An autovacuum of the table, slow enough to be met."""
    options = "autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0"
    slow = "autovacuum_vacuum_cost_delay = 20, autovacuum_vacuum_cost_limit = 20"
    with scene.admin() as connection:
        connection.execute("UPDATE orders SET total = total + 1 WHERE id % 3 = 0 AND id > 5000")
        connection.execute(f"ALTER TABLE orders SET ({options}, {slow})")
        wait_until(lambda: _vacuums(connection), 20, "the autovacuum")
        yield
        connection.execute("ALTER TABLE orders RESET (autovacuum_vacuum_cost_delay)")


def _vacuums(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'orders'::regclass"
    return connection.execute(query).fetchone() is not None


@contextmanager
def small_disk(scene: Scene) -> Iterator[None]:
    """The indexes go to a tablespace on a disk that is too small for them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="dbopt-fire-") as made:
        Path(made).chmod(0o755)
        disk = Path(made, "disk")
        disk.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={SMALL}m", "none", str(disk)]
        subprocess.run(["/bin/mount", *options], check=True)
        try:
            place = disk / "pg"
            place.mkdir()
            shutil.chown(place, *_owner_of(scene))
            with scene.admin() as connection:
                connection.execute(f"CREATE TABLESPACE tiny LOCATION '{place}'")
                connection.execute("ALTER ROLE postgres SET default_tablespace = tiny")
            yield
        finally:
            _forget_disk(scene)
            subprocess.run(["/bin/umount", str(disk)], check=True)


def _owner_of(scene: Scene) -> tuple[int, int]:
    found = scene.cluster.data_dir.stat()
    return found.st_uid, found.st_gid


def _forget_disk(scene: Scene) -> None:
    with scene.admin() as connection:
        connection.execute("ALTER ROLE postgres RESET default_tablespace")
        moved = "ALTER INDEX ALL IN TABLESPACE tiny SET TABLESPACE pg_default"
        connection.execute(moved)
        connection.execute("ALTER TABLE ALL IN TABLESPACE tiny SET TABLESPACE pg_default")
        connection.execute("DROP TABLESPACE tiny")


def restart(immediate: bool, scene: Scene, process: Process, again: Again) -> None:
    """The server restarts in the middle of a build."""
    scene.wait_building()
    scene.cluster.restart(immediate=immediate)


def terminate_builder(scene: Scene, process: Process, again: Again) -> None:
    """Somebody ends the session that builds."""
    pid = scene.wait_building()
    _terminate(scene, pid)


def terminate_all(scene: Scene, process: Process, again: Again) -> None:
    """Somebody ends all sessions of the tool, the lock's holder too."""
    scene.wait_building()
    with scene.admin() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'"
            " AND datname = current_database() AND application_name NOT IN ('fault', 'blocker')"
        )


def _terminate(scene: Scene, pid: int) -> None:
    with scene.admin() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def signalled(number: signal.Signals, scene: Scene, process: Process, again: Again) -> None:
    """The tool is told to end in the middle of a build."""
    scene.wait_building()
    process.send_signal(number)


def own_ddl(scene: Scene, process: Process, again: Again) -> None:
    """The application alters the table while a build waits: it queues, and all others behind it."""
    scene.wait_building()
    with scene.admin() as connection:
        connection.execute("ALTER TABLE orders ADD COLUMN note text")


def second_run(scene: Scene, process: Process, again: Again) -> None:
    """Another deploy does the same at the same time."""
    scene.wait_building()
    again()


def no_duplicates(scene: Scene) -> None:
    """What the message asks for."""
    with scene.admin() as connection:
        connection.execute(
            "DELETE FROM orders a USING orders b WHERE a.number = b.number AND a.id > b.id"
        )


@contextmanager
def duplicates(scene: Scene) -> Iterator[None]:
    """Rows that the unique index does not allow."""
    with scene.admin() as connection:
        connection.execute(DUPLICATES)
    yield


def _around(statements: tuple[str, ...], seconds: float | None) -> Around:
    return partial(holding, statements, seconds)


FAILED = frozenset({1, 4, 6, 7})
BRIEF = ("--deadline", "4")
FAULTS = (
    Fault("nothing"),
    Fault("a REPEATABLE READ transaction that ends", _around(SNAPSHOT, HOLD)),
    Fault(
        "a REPEATABLE READ transaction that stays", _around(SNAPSHOT, None),
        arguments=BRIEF, codes=FAILED, says=r"pid \d+",
    ),
    Fault("a writer, idle in its transaction, that ends", _around(WRITER, HOLD)),
    Fault(
        "a writer, idle in its transaction, that stays", _around(WRITER, None),
        arguments=BRIEF, codes=FAILED, says=r"pid \d+",
    ),
    Fault("autovacuum of the table", vacuuming),
    Fault("a lock holder (SHARE UPDATE EXCLUSIVE)", _around(HOLDER, HOLD)),
    Fault(
        "a unique build that fails", duplicates, codes=FAILED, says="(?i)duplicate|not unique",
        remedy=no_duplicates, index="idx_orders_number",
    ),
    Fault("a full disk", small_disk, codes=FAILED, says="(?i)tiny|disk|space"),
    Fault("the server restarts", during=partial(restart, False), tolerated=RESTARTED),
    Fault("the server crashes", during=partial(restart, True), tolerated=RESTARTED),
    Fault("pg_terminate_backend of the builder", _around(SNAPSHOT, HOLD), terminate_builder),
    Fault("pg_terminate_backend of all its sessions", _around(SNAPSHOT, HOLD), terminate_all),
    Fault(
        "SIGTERM", _around(SNAPSHOT, HOLD), partial(signalled, signal.SIGTERM),
        codes=frozenset({143}),
    ),
    Fault(
        "SIGINT", _around(SNAPSHOT, HOLD), partial(signalled, signal.SIGINT),
        codes=frozenset({130}),
    ),
    Fault("the application's own ALTER TABLE", _around(SNAPSHOT, 4 * HOLD), own_ddl),
    Fault("a second run", _around(SNAPSHOT, HOLD), second_run),
)  # fmt: skip
