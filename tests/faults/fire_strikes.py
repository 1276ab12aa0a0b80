"""What happens in the middle of a run: restarts, ended sessions, signals, the application's DDL."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from psycopg.conninfo import make_conninfo

from tests.faults.fire_blockers import waited_for
from tests.faults.fire_network import Network, network
from tests.faults.fire_scene import LOCK_TIMEOUT, Ended, Process, Scene
from tests.support import wait_until

Again = Callable[[], Ended]
"""Makes another run of the same tool."""
Strike = Callable[[Scene, Process, Again], None]

SILENCE = 3.0
"""Seconds for which something says nothing."""
ADDED = """
CREATE TABLE events_2026_04 (LIKE events);
ALTER TABLE events ATTACH PARTITION events_2026_04 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')
"""
DETACHED = "ALTER TABLE events DETACH PARTITION events_2026_03"
CAME_AND_WENT = f"{ADDED};{DETACHED}; DROP INDEX IF EXISTS events_2026_03_kind_at_idx"
LEAF_AT_WORK = """
SELECT p.pid FROM pg_stat_progress_create_index p WHERE p.relid = 'events_2026_01_a'::regclass
"""


def saw_it_at_work(scene: Scene, process: Process) -> None:
    """Keep as evidence that the tool still works."""
    if process.poll() is None:
        scene.saw("struck in the middle of a build")


def restart(immediate: bool, scene: Scene, process: Process, again: Again) -> None:
    """The server restarts in the middle of a build."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    scene.cluster.restart(immediate=immediate)


def terminate_builder(scene: Scene, process: Process, again: Again) -> None:
    """Somebody ends the session that builds."""
    pid = scene.wait_building()
    with scene.admin() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    saw_it_at_work(scene, process)


def terminate_all(scene: Scene, process: Process, again: Again) -> None:
    """Somebody ends all sessions of the tool, the lock's holder too."""
    scene.wait_building()
    with scene.admin() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'"
            " AND datname = current_database() AND application_name NOT IN ('fault', 'blocker')"
        ).fetchall()
    assert len(ended) > 1
    saw_it_at_work(scene, process)


def signalled(number: signal.Signals, scene: Scene, process: Process, again: Again) -> None:
    """The tool is told to end in the middle of a build."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    process.send_signal(number)


def stopped_tool(scene: Scene, process: Process, again: Again) -> None:
    """The tool's machine stands still for a while."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(SILENCE)
    process.send_signal(signal.SIGCONT)


def stopped_backend(scene: Scene, process: Process, again: Again) -> None:
    """The server process that builds stands still for a while."""
    pid = scene.wait_building()
    os.kill(pid, signal.SIGSTOP)
    try:
        saw_it_at_work(scene, process)
        time.sleep(SILENCE)
    finally:
        os.kill(pid, signal.SIGCONT)


def stop_backend(scene: Scene, process: Process, again: Again) -> None:
    """The server process that builds stands still from now on."""
    scene.stopped = scene.wait_building()
    os.kill(scene.stopped, signal.SIGSTOP)
    saw_it_at_work(scene, process)


@contextmanager
def going_on(scene: Scene) -> Iterator[None]:
    """What stands still goes on in the end."""
    try:
        yield
    finally:
        if scene.stopped:
            os.kill(scene.stopped, signal.SIGCONT)


def own_ddl(scene: Scene, process: Process, again: Again) -> None:
    """The application alters the table while a build waits: it queues, and all others behind it."""
    scene.wait_building()
    with scene.admin(options=f"-c lock_timeout={LOCK_TIMEOUT}s") as connection:
        saw_it_at_work(scene, process)
        try:
            connection.execute("ALTER TABLE orders ADD COLUMN note text")
        except psycopg.errors.LockNotAvailable:
            scene.application.append(f"ALTER TABLE {psycopg.errors.LockNotAvailable.sqlstate}")


def second_run(scene: Scene, process: Process, again: Again) -> None:
    """Another deploy does the same at the same time."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    if "Waiting for another migration: " in again().err:
        scene.saw("the second waited")


def exclusive_locks(scene: Scene, process: Process, again: Again) -> None:
    """The application locks the table for half a second, three times, as careful DDL does."""
    scene.wait_connected(process)
    for _ in range(3):
        with scene.admin(options="-c lock_timeout=100ms") as holder, scene.admin() as connection:
            if not _locked(holder):
                continue
            until = time.monotonic() + LOCK_TIMEOUT / 2
            while time.monotonic() < until:
                if waited_for(connection, holder.info.backend_pid, "dbopt%"):
                    scene.saw("waited for the holder")
                time.sleep(0.02)
            holder.execute("ROLLBACK")
        time.sleep(0.2)


def _locked(holder: psycopg.Connection[tuple[object, ...]]) -> bool:
    holder.execute("BEGIN")
    try:
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def partitions_change(scene: Scene, process: Process, again: Again) -> None:
    """While a partition's index is built, one partition comes and another goes."""
    with scene.admin() as connection:
        wait_until(lambda: connection.execute(LEAF_AT_WORK).fetchone(), 30, "the leaf's build")
        saw_it_at_work(scene, process)
        scene.changed = CAME_AND_WENT
        for statement in (*ADDED.split(";"), DETACHED):
            connection.execute(statement)


def table_goes(statement: str, scene: Scene, process: Process, again: Again) -> None:
    """The application drops or renames a declared table before its turn comes."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    scene.changed = statement
    with scene.admin() as connection:
        connection.execute(statement)


def undeclare(scene: Scene) -> None:
    """What the message asks for: the table is gone."""
    (scene.directory / "3_drafts.sql").unlink()


def redeclare(scene: Scene) -> None:
    """What the message asks for: the table has another name."""
    file = scene.directory / "3_drafts.sql"
    file.write_text(file.read_text().replace("ON drafts", "ON notes"))


@contextmanager
def through(what: str, scene: Scene) -> Iterator[Network]:
    """The tool reaches its server, or dbopt its store alone, through a network of ours."""
    with network(scene.cluster.port) as made:
        dsn = make_conninfo(scene.dsn, port=made.port)
        if what == "store":
            scene.settings.append(f"store.dsn={dsn}")
        else:
            scene.tool_dsn = dsn
        scene.network = made
        yield made
    scene.settings.clear()
    scene.tool_dsn, scene.network = "", None


def network_of(scene: Scene) -> Network:
    """What the tool goes through."""
    assert scene.network is not None
    return scene.network


def silent_network(then_cut: bool, scene: Scene, process: Process, again: Again) -> None:
    """Nothing passes for a while; then all of it does, or all connections are reset."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    network_of(scene).silence()
    time.sleep(SILENCE)
    if then_cut:
        network_of(scene).cut()
    else:
        network_of(scene).go_on()


def store_goes(scene: Scene, process: Process, again: Again) -> None:
    """The store is away from the middle of a build on."""
    scene.wait_building()
    saw_it_at_work(scene, process)
    network_of(scene).cut(refusing=True)


terminated = partial(signalled, signal.SIGTERM)
interrupted = partial(signalled, signal.SIGINT)
