"""Index migrations under fire: while an application writes and reads through the gateway.

`make soak` kills 50 runs, lets plain Alembic meet the same faults, and prints the table of both.
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from dbopt.demo.cluster import EmbeddedCluster
from tests.faults.fire_alembic import Alembic
from tests.faults.fire_faults import FAULTS, Fault
from tests.faults.fire_load import Suffered, loaded
from tests.faults.fire_scene import LOCK_TIMEOUT, Ended, Scene, make_template, scene
from tests.faults.fire_table import HEAD, Outcome
from tests.fix_gateway import Gateway, Runner, running

RUNS = 3
"""Times that a deploy is tried."""
KILLS = 5
"""Runs that are killed, one after the other, before one that may end."""
SLACK = 0.1
"""Seconds that a look at the locks may be late."""
SEED = 20261123
SHOWN_ELSEWHERE = frozenset(
    {
        "a REPEATABLE READ transaction that stays",
        "a unique build that fails",
        "the server restarts",
        "pg_terminate_backend of the builder",
        "SIGTERM",
        "SIGINT",
        "a second run",
    }
)
"""What tests/integration has without a load: under fire it is only `make soak`'s, as each takes
five seconds."""

_numbers = count(1)
_outcomes: list[Outcome] = []


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    settings = {"autovacuum_naptime": "1s", "max_connections": "60", "deadlock_timeout": "200ms"}
    with EmbeddedCluster(settings=settings) as made:
        yield made
    print(HEAD, *(outcome.line() for outcome in _outcomes), sep="\n")


@pytest.fixture(scope="module")
def directory(cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("indexes")
    make_template(cluster, made)
    return made


@pytest.fixture(scope="module")
def gateway(cluster: EmbeddedCluster, gateway_loop: Runner) -> Iterator[Gateway]:
    """One for all scenes."""
    with running(cluster.dsn(), gateway_loop) as made:
        yield made


@pytest.fixture
def place(cluster: EmbeddedCluster, directory: Path) -> Iterator[Scene]:
    with scene(cluster, f"fire_{next(_numbers)}", directory) as made:
        yield made


@contextmanager
def under_load(place: Scene, gateway: Gateway) -> Iterator[Suffered]:
    """The application, through the gateway; what it suffers."""
    with loaded(gateway.dsn(dbname=place.name, user="app"), place.dsn) as load:
        time.sleep(0.2)
        yield load.suffered


def run_under_fire(place: Scene, fault: Fault) -> list[Ended]:
    """The first run with the fault, then again as a deploy is, until one ends well."""
    with fault.around(place):
        began = time.monotonic()
        process = place.start(*fault.arguments)
        try:
            fault.during(place, process, place.apply)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        runs = [place.finish(process, began)]
    fault.remedy(place)
    while runs[-1].code and len(runs) < RUNS:
        runs.append(place.apply())
    return runs


def unharmed(suffered: Suffered, tolerated: frozenset[str] = frozenset()) -> None:
    """The application met no error, and waited for no lock longer than was configured."""
    assert {} == {code: n for code, n in suffered.errors.items() if code not in tolerated}
    assert suffered.longest_lock_wait < LOCK_TIMEOUT + SLACK
    assert suffered.statements > 100


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=pytest.mark.soak if fault.name in SHOWN_ELSEWHERE else ())
        for fault in FAULTS
    ],
    ids=lambda fault: fault.name.replace(" ", "-"),
)
def test_a_fault_under_fire(place: Scene, gateway: Gateway, fault: Fault) -> None:
    with under_load(place, gateway) as suffered:
        runs = run_under_fire(place, fault)
    wrong = place.wrong()
    _outcomes.append(Outcome(fault.name, "dbopt", tuple(runs), tuple(wrong), suffered))

    assert runs[0].code in fault.codes, [(r.out, r.err) for r in runs]
    assert re.search(fault.says, runs[0].err), runs[0].err
    assert ([], 0) == (wrong, runs[-1].code), runs
    unharmed(suffered, fault.tolerated)


def killed(place: Scene, luck: random.Random, seconds: float) -> Ended:
    """A run that is killed at a moment between its first statement and its end."""
    began = time.monotonic()
    process = place.start()
    place.wait_connected(process)
    time.sleep(luck.uniform(0.0, seconds))
    process.send_signal(signal.SIGKILL)
    return place.finish(process, began)


def killed_and_mended(place: Scene, luck: random.Random) -> list[Ended]:
    """Some runs that are killed, one right after the other, and one that may end."""
    runs = [killed(place, luck, 1.5) for _ in range(KILLS)]
    return [*runs, place.apply()]


def test_killed_at_random_moments(place: Scene, gateway: Gateway) -> None:
    luck = random.Random(SEED)  # noqa: S311 - no secret
    with under_load(place, gateway) as suffered:
        runs = killed_and_mended(place, luck)
    _outcomes.append(Outcome("SIGKILL", "dbopt", tuple(runs), tuple(place.wrong()), suffered))

    assert ([], 0) == (place.wrong(), runs[-1].code), runs
    assert runs[-1].json()["left"] == []
    unharmed(suffered)


@pytest.mark.soak
def test_killed_at_fifty_random_moments(
    cluster: EmbeddedCluster, directory: Path, gateway: Gateway
) -> None:
    luck = random.Random(SEED + 1)  # noqa: S311 - no secret
    runs: list[Ended] = []
    wrong: list[str] = []
    for _ in range(10):
        with (
            scene(cluster, f"fire_{next(_numbers)}", directory) as place,
            under_load(place, gateway) as suffered,
        ):
            runs += killed_and_mended(place, luck)
            wrong += place.wrong()
        assert ([], 0) == (wrong, runs[-1].code), runs
        unharmed(suffered)
    killed_runs = [ended for ended in runs if ended.code == -signal.SIGKILL]
    _outcomes.append(
        Outcome(f"SIGKILL x {len(killed_runs)}", "dbopt", tuple(runs), tuple(wrong), suffered)
    )


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_same_fault_with_plain_alembic(
    place: Scene, gateway: Gateway, fault: Fault, tmp_path: Path
) -> None:
    """Nothing is asked of it: it is there to compare with."""
    peer = Alembic(place, tmp_path / "app", fault.index)
    peer.make()
    with under_load(place, gateway) as suffered:
        with fault.around(place):
            began = time.monotonic()
            process = peer.start()
            fault.during(place, process, peer.apply)
            runs = [place.finish(process, began)]
        fault.remedy(place)
        while runs[-1].code and len(runs) < RUNS:
            runs.append(peer.apply())
    outcome = Outcome(fault.name, "Alembic", tuple(runs), tuple(peer.wrong()), suffered)
    _outcomes.append(outcome)
    assert suffered.statements > 100
