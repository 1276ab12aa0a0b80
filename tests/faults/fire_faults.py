"""The faults: what stands in the way, what strikes in the middle, how a run may end with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults import fire_blockers as blockers
from tests.faults import fire_strikes as strikes
from tests.faults.fire_blockers import HOLD, HOLDER, LEAF_HOLDER, SNAPSHOT, WRITER, holding
from tests.faults.fire_scene import FIRST_BUILT, LOCK_TIMEOUT, Scene
from tests.faults.fire_standby import lagging, resumes
from tests.faults.fire_strikes import Strike

DUPLICATES = (
    "INSERT INTO orders (customer, state, number) SELECT 1, 'done', number FROM orders LIMIT 3"
)
RESTARTED = frozenset({"57P01", "57P02", "57P03", "08006", "08001", "08003", "OperationalError"})
"""What an application meets when its server restarts, whoever stands between."""

Around = Callable[[Scene], AbstractContextManager[Any]]
FAILED = frozenset({1, 4, 6, 7})
BRIEF = ("--deadline", "5")
BLOCKED = "waited for the blocker"
AT_WORK = "in the middle of a build"


@dataclass(frozen=True)
class Fault:
    """One fault. `around` holds while the first run goes, `during` strikes in its middle.

    `struck`: the evidence that it must leave. `codes`: how dbopt's first run may end; `says`: what
    it must then say, a regular expression. `remedy` does what the message asks for. `tolerated`:
    SQLSTATEs that the application meets whether or not anybody migrates. `index`: the index that
    another tool is to build. `least`: how many runs there are at least. `often`: run by default.
    """

    name: str
    around: Around = field(default=lambda scene: nullcontext())
    during: Strike = field(default=lambda scene, process, again: None)
    struck: str = ""
    arguments: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset({0})
    says: str = ""
    remedy: Callable[[Scene], None] = field(default=lambda scene: None)
    tolerated: frozenset[str] = frozenset()
    index: str = FIRST_BUILT
    least: int = 1
    often: bool = False
    peer: bool = True
    """Whether another tool can meet it too."""


@contextmanager
def duplicates(scene: Scene) -> Any:
    """Rows that the unique index does not allow."""
    with scene.admin() as connection:
        connection.execute(DUPLICATES)
    scene.saw("duplicates")
    yield


def no_duplicates(scene: Scene) -> None:
    """What the message asks for."""
    with scene.admin() as connection:
        connection.execute(
            "DELETE FROM orders a USING orders b WHERE a.number = b.number AND a.id > b.id"
        )


def held(statements: tuple[str, ...], seconds: float | None) -> Around:
    """A transaction that keeps what its statements take."""
    return partial(holding, statements, seconds)


def both(first: Around, second: Around) -> Around:
    """The one within the other."""

    @contextmanager
    def made(scene: Scene) -> Any:
        with ExitStack() as stack:
            stack.enter_context(first(scene))
            stack.enter_context(second(scene))
            yield

    return made


def through(what: str) -> Around:
    """A network of ours, and a build that a snapshot keeps in its middle."""
    return both(partial(strikes.through, what), held(SNAPSHOT, HOLD))


DROP, RENAME = "DROP TABLE drafts", "ALTER TABLE drafts RENAME TO notes"
LONG = 2.0 * LOCK_TIMEOUT

FAULTS = (
    Fault("nothing"),
    Fault("a REPEATABLE READ transaction that ends", held(SNAPSHOT, HOLD), struck=BLOCKED),
    Fault(
        "a REPEATABLE READ transaction that stays", held(SNAPSHOT, None), struck=BLOCKED,
        arguments=BRIEF, codes=FAILED, says=r"it waited for pid \d+",
    ),
    Fault(
        "a writer, idle in its transaction, that ends", held(WRITER, HOLD), struck=BLOCKED,
        often=True,
    ),
    Fault(
        "a writer, idle in its transaction, that stays", held(WRITER, None), struck=BLOCKED,
        arguments=BRIEF, codes=FAILED, says=r"it waited for pid \d+",
    ),
    Fault(
        "a prepared transaction that stays", blockers.prepared, struck="prepared",
        arguments=BRIEF, codes=FAILED, says="fire", remedy=blockers.end_prepared,
    ),
    Fault("autovacuum of the table", blockers.vacuuming, struck="met the autovacuum"),
    Fault("a lock holder (SHARE UPDATE EXCLUSIVE)", held(HOLDER, HOLD), struck=BLOCKED),
    Fault(
        "a lock holder (ACCESS EXCLUSIVE, 0.5 s)", during=strikes.exclusive_locks,
        struck="waited for the holder",
    ),
    Fault(
        "a unique build that fails", duplicates, struck="duplicates", codes=FAILED,
        says="(?i)holds rows that are not|duplicate", remedy=no_duplicates,
        index="idx_orders_number",
    ),
    Fault(
        "a disk that is too small", blockers.small_disk, struck="too small", codes=FAILED,
        says="(?i)tablespace tiny|disk|space",
    ),
    Fault(
        "a disk that fills up meanwhile", blockers.filled_disk, struck="the disk is full",
        codes=frozenset({4}), says="the disk is full", often=True,
    ),
    Fault(
        "the server restarts", held(SNAPSHOT, None), partial(strikes.restart, False),
        struck=AT_WORK, says="server was lost", tolerated=RESTARTED, often=True,
    ),
    Fault(
        "the server crashes", held(SNAPSHOT, None), partial(strikes.restart, True),
        struck=AT_WORK, says="server was lost", tolerated=RESTARTED,
    ),
    Fault(
        "pg_terminate_backend of the builder", held(SNAPSHOT, HOLD), strikes.terminate_builder,
        struck=AT_WORK, says="server was lost",
    ),
    Fault(
        "pg_terminate_backend of all its sessions", held(SNAPSHOT, HOLD), strikes.terminate_all,
        struck=AT_WORK, says="server was lost", often=True,
    ),
    Fault(
        "SIGTERM", held(SNAPSHOT, HOLD), strikes.terminated, struck=AT_WORK,
        codes=frozenset({143}), says="Stopped",
    ),
    Fault(
        "SIGINT", held(SNAPSHOT, HOLD), strikes.interrupted, struck=AT_WORK,
        codes=frozenset({130}), says="Stopped",
    ),
    Fault(
        "the tool stands still (SIGSTOP) for 3 s", held(SNAPSHOT, HOLD), strikes.stopped_tool,
        struck=AT_WORK,
    ),
    Fault(
        "its backend stands still for 3 s", held(SNAPSHOT, HOLD), strikes.stopped_backend,
        struck=AT_WORK,
    ),
    # Another tool would stand still with it.
    Fault(
        "its backend stands still for good", both(strikes.going_on, held(SNAPSHOT, None)),
        strikes.stop_backend, struck=AT_WORK, arguments=BRIEF, codes=frozenset({6}),
        says=r"which pid \d+ .* builds", peer=False,
    ),
    Fault(
        "the network is silent for 3 s", through("server"),
        partial(strikes.silent_network, False), struck=AT_WORK,
    ),
    Fault(
        "the network is silent, then cut", through("server"),
        partial(strikes.silent_network, True), struck=AT_WORK, says="server was lost",
    ),
    Fault(
        "the store is away from then on", through("store"), strikes.store_goes, struck=AT_WORK,
        says="not recorded whole", least=2, peer=False,
    ),
    Fault(
        "the application's own ALTER TABLE", held(SNAPSHOT, LONG), strikes.own_ddl,
        struck=AT_WORK, often=True,
    ),
    Fault("a second run", held(SNAPSHOT, HOLD), strikes.second_run, struck="the second waited"),
    Fault("no connection is left", blockers.crowded, struck="a connection was refused"),
    Fault(
        "a standby that lags", lagging, resumes, struck="it waited for the standby",
        says="Waiting before the next step: the standby", peer=False,
    ),
    Fault(
        "the table is dropped meanwhile", held(SNAPSHOT, HOLD), partial(strikes.table_goes, DROP),
        struck=AT_WORK, codes=frozenset({0, 2, 4}), says="drafts", remedy=strikes.undeclare,
        least=2,
    ),
    Fault(
        "the table is renamed meanwhile", held(SNAPSHOT, HOLD),
        partial(strikes.table_goes, RENAME), struck=AT_WORK, codes=frozenset({0, 2, 4}),
        says="drafts", remedy=strikes.redeclare, least=2,
    ),
    Fault(
        "partitions come and go meanwhile", held(LEAF_HOLDER, HOLD), strikes.partitions_change,
        struck=AT_WORK, peer=False,
    ),
)  # fmt: skip
