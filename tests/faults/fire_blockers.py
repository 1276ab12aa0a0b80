"""What stands in the way of a build: transactions, locks, a vacuum, a full disk, no connections."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.fire_scene import LOCK_TIMEOUT, Scene
from tests.support import wait_until

Connection = psycopg.Connection[Any]

HOLD = LOCK_TIMEOUT * 1.3
"""Seconds that a blocker stays once it is waited for: longer than any lock_timeout."""
SNAPSHOT = ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class")
WRITER = ("BEGIN", "UPDATE orders SET total = 0 WHERE id = 80000")
HOLDER = ("BEGIN", "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
LEAF_HOLDER = ("BEGIN", "LOCK TABLE events_2026_01_a IN SHARE UPDATE EXCLUSIVE MODE")
READER = ("BEGIN", "SELECT FROM orders LIMIT 1")
PREPARED = (*WRITER, "PREPARE TRANSACTION 'fire'")
TOTAL_LOCKED = ("BEGIN", "COMMENT ON INDEX idx_orders_total IS ''")
PARENT_WRITER = ("BEGIN", "LOCK TABLE events IN ROW EXCLUSIVE MODE")
WAITS_FOR = """
SELECT FROM pg_stat_activity a
 WHERE %s = ANY (pg_blocking_pids(a.pid)) AND a.usename = 'postgres'
   AND a.application_name LIKE %s
"""
SMALL = 2
"""MiB of the disk that is too small from the start: less than one of the indexes needs."""
LARGE = 80
"""MiB of the disk that has room for all of them, until somebody fills it."""


def waited_for(connection: Connection, pid: int, tool: str = "%") -> bool:
    """Whether a session of the tool (a pattern of application_name) waits for that one."""
    return connection.execute(WAITS_FOR, (pid, tool)).fetchone() is not None


@contextmanager
def holding(statements: Sequence[str], seconds: float | None, scene: Scene) -> Iterator[Connection]:
    """A transaction that keeps what its statements take, for so long once it is waited for.

    None: for as long as the body runs. That it was waited for is kept as evidence.
    """
    blocker = psycopg.connect(scene.dsn, application_name="blocker", autocommit=True)
    with closing(blocker):
        for statement in statements:
            blocker.execute(statement)
        done = threading.Event()
        thread = threading.Thread(target=_let_go, args=(scene, blocker, seconds, done))
        thread.start()
        try:
            yield blocker
        finally:
            done.set()
            thread.join()


def _let_go(
    scene: Scene, blocker: Connection, seconds: float | None, done: threading.Event
) -> None:
    pid = blocker.info.backend_pid
    # A restart ends this session, and what it held.
    with suppress(psycopg.OperationalError):
        with scene.admin() as connection:
            while not done.wait(0.02):
                if waited_for(connection, pid):
                    scene.saw("waited for the blocker")
                    break
        done.wait(seconds)
        blocker.execute("ROLLBACK")


@contextmanager
def prepared(scene: Scene) -> Iterator[None]:
    """A prepared transaction that has written the table, and that nobody ends."""
    with scene.admin() as connection:
        for statement in PREPARED:
            connection.execute(statement)
        scene.saw("prepared")
        yield


def end_prepared(scene: Scene) -> None:
    """What the message asks for."""
    with scene.admin() as connection:
        connection.execute("ROLLBACK PREPARED 'fire'")


@contextmanager
def vacuuming(scene: Scene) -> Iterator[None]:
    """An autovacuum of the table, slow enough to be met; PostgreSQL cancels it for who waits."""
    options = "autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0"
    slow = "autovacuum_vacuum_cost_delay = 20, autovacuum_vacuum_cost_limit = 20"
    with scene.admin() as connection:
        connection.execute("UPDATE orders SET total = total + 1 WHERE id % 3 = 0 AND id > 5000")
        connection.execute(f"ALTER TABLE orders SET ({options}, {slow})")
        wait_until(lambda: _vacuums(connection), 60, "the autovacuum")
        with _seeing(scene, lambda: _vacuum_met(connection, scene), "met the autovacuum"):
            yield
        connection.execute("ALTER TABLE orders RESET (autovacuum_vacuum_cost_delay)")


def _vacuums(connection: Connection) -> int:
    query = "SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'orders'::regclass"
    row = connection.execute(query).fetchone()
    return row[0] if row else 0


def _vacuum_met(connection: Connection, scene: Scene) -> bool:
    pid = _vacuums(connection)
    cancelled = f'automatic vacuum of table "{scene.name}.public.orders"'
    return bool(pid and waited_for(connection, pid)) or (
        cancelled in scene.cluster.log_path.read_text(errors="replace")
    )


@contextmanager
def _seeing(scene: Scene, sight: Callable[[], bool], what: str) -> Iterator[None]:
    """Look in a thread whether something comes to pass while the body runs."""
    done = threading.Event()

    def look() -> None:
        while not sight():
            if done.wait(0.02):
                return
        scene.saw(what)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def disk(megabytes: int, scene: Scene) -> Iterator[Path]:
    """The indexes go to a tablespace on a disk of that size."""
    if os.geteuid() != 0:
        pytest.skip("missing: root, who may mount a small disk")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="dbopt-fire-") as made:
        Path(made).chmod(0o755)
        place = Path(made, "disk")
        place.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(place)]
        if subprocess.run(["/bin/mount", *options], check=False, capture_output=True).returncode:
            pytest.skip("missing: a right to mount")
        try:
            _use_disk(scene, place / "pg")
            yield place
        finally:
            (place / "filler").unlink(missing_ok=True)
            _forget_disk(scene)
            subprocess.run(["/bin/umount", str(place)], check=True)


def _use_disk(scene: Scene, place: Path) -> None:
    place.mkdir()
    found = scene.cluster.data_dir.stat()
    shutil.chown(place, found.st_uid, found.st_gid)
    with scene.admin() as connection:
        connection.execute(f"CREATE TABLESPACE tiny LOCATION '{place}'")
        connection.execute("ALTER ROLE postgres SET default_tablespace = tiny")


def _forget_disk(scene: Scene) -> None:
    with scene.admin() as connection:
        connection.execute("ALTER ROLE postgres RESET default_tablespace")
    with scene.admin() as connection:
        for kind in ("INDEX", "TABLE"):
            moved = f"ALTER {kind} ALL IN TABLESPACE tiny SET TABLESPACE pg_default"
            connection.execute(moved)
        # Partitioned ones are none to be moved, and keep the name of it alone.
        rows = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_tablespace t"
            " ON t.oid = c.reltablespace WHERE t.spcname = 'tiny'"
        ).fetchall()
        for (name,) in rows:
            connection.execute(f"ALTER INDEX {name} SET TABLESPACE pg_default")
        connection.execute("DROP TABLESPACE tiny")


@contextmanager
def small_disk(scene: Scene) -> Iterator[None]:
    """The disk is too small for the indexes, and a look before may say so."""
    with disk(SMALL, scene):
        scene.saw("too small")
        yield


@contextmanager
def filled_disk(scene: Scene) -> Iterator[None]:
    """The disk has room, until somebody fills it while the first build waits for a writer."""
    with disk(LARGE, scene) as place, holding(WRITER, None, scene) as blocker:
        done = threading.Event()
        thread = threading.Thread(target=_fill, args=(scene, place / "filler", blocker, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _fill(scene: Scene, filler: Path, blocker: Connection, done: threading.Event) -> None:
    with scene.admin() as connection:
        while not waited_for(connection, blocker.info.backend_pid):
            if done.wait(0.02):
                return
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    except OSError:
        scene.saw("the disk is full")
    blocker.execute("ROLLBACK")


@contextmanager
def crowded(scene: Scene) -> Iterator[None]:
    """All connections of the server are taken but one, until one was refused."""
    taken: list[Connection] = []
    before = _refusals(scene)
    try:
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(scene.dsn, application_name="blocker"))
        taken.pop().close()
        wait_until(lambda: _refusals(scene) > before, what="the refusal of the last one")
        refused = _refusals(scene)
        with _seeing(scene, lambda: _made_room(scene, taken, refused), "a connection was refused"):
            yield
    finally:
        for one in taken:
            one.close()


def _refusals(scene: Scene) -> int:
    return scene.cluster.log_path.read_text(errors="replace").count("too many clients already")


def _made_room(scene: Scene, taken: list[Connection], refused: int) -> bool:
    if _refusals(scene) == refused:
        return False
    while taken:
        taken.pop().close()
    return True
