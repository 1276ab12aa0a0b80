"""Index migrations under fire: while an application writes and reads through the gateway.

By default a part of the faults; `make soak` runs all of them on PostgreSQL 18 and 15, kills 50 runs
and more, lets plain Alembic meet the same faults, and prints the table of both: docs/faults.md.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dbopt.demo.cluster import EmbeddedCluster
from tests.faults import fire_state
from tests.faults.fire_alembic import Alembic
from tests.faults.fire_faults import FAULTS, Fault
from tests.faults.fire_kills import AIMS, killed_at, killed_at_random
from tests.faults.fire_load import LOGGED, Suffered, loaded, longest_logged
from tests.faults.fire_scene import LOCK_TIMEOUT, Ended, Scene, make_template, scene
from tests.faults.fire_table import HEAD, Outcome, killed_table, unexplained
from tests.fix_gateway import Gateway, Runner, running
from tests.fix_pg import DEBIAN_15, in_memory
from tests.support import wait_until

RUNS = 3
"""Times that a deploy is tried."""
SLACK = 0.1
"""Seconds that a look at the locks may be late."""
SLOWEST = 10 * LOCK_TIMEOUT
"""Seconds of any statement at its client: the machine may be busy, but nothing hangs."""
SEED = 20261123
SERVER = {
    "autovacuum_naptime": "1s",
    "max_connections": "60",
    "max_prepared_transactions": "5",
    "deadlock_timeout": f"{LOGGED:g}s",
    "log_lock_waits": "on",
    "log_line_prefix": "%d|%u|",
}

_numbers = count(1)
_outcomes: list[Outcome] = []
_moments: Counter[str] = Counter()


def _faults(*, peer: bool = False) -> list[Any]:
    """All faults; those that are not met by default are for the soak."""
    return [
        pytest.param(
            fault,
            id=fault.name.replace(" ", "-"),
            marks=[] if fault.often and not peer else [pytest.mark.soak],
        )
        for fault in FAULTS
        if fault.peer or not peer
    ]


@pytest.fixture(
    scope="module",
    params=[pytest.param(None, id="18"), pytest.param(DEBIAN_15, id="15", marks=pytest.mark.soak)],
)
def cluster(request: pytest.FixtureRequest) -> Iterator[EmbeddedCluster]:
    """A server of our own: it is restarted, crashed and filled."""
    if request.param is not None and not request.param.exists():
        pytest.skip("missing: /usr/lib/postgresql/15 (apt-get install postgresql-15)")
    _outcomes.clear()
    _moments.clear()
    made = EmbeddedCluster(settings=SERVER, bin_dir=request.param)
    with in_memory():
        made.start()
    with made:
        yield made
        print(f"PostgreSQL {made.version}", HEAD, sep="\n\n")
    print(*(outcome.line() for outcome in _outcomes), "", killed_table(_moments), sep="\n")


@pytest.fixture(scope="module")
def template(
    cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The directory of what is declared, and the seconds that an undisturbed run works."""
    made = tmp_path_factory.mktemp("indexes") / "declared"
    made.mkdir()
    return made, make_template(cluster, made)


@pytest.fixture(scope="module")
def gateway(cluster: EmbeddedCluster, gateway_loop: Runner) -> Iterator[Gateway]:
    """One for all scenes."""
    with running(cluster.dsn(), gateway_loop) as made:
        yield made


@pytest.fixture
def place(cluster: EmbeddedCluster, template: tuple[Path, float]) -> Iterator[Scene]:
    with scene(cluster, f"fire_{next(_numbers)}", template[0]) as made:
        yield made


@contextmanager
def under_load(place: Scene, gateway: Gateway) -> Iterator[Suffered]:
    """The application, through the gateway; what it suffers."""
    with loaded(gateway.dsn(dbname=place.name, user="app"), place.dsn) as load:
        wait_until(lambda: load.suffered.statements > 20, 30, "the load to begin")
        yield load.suffered
    logged = longest_logged(place.cluster.log_path, place.name)
    load.suffered.longest_lock_wait = max(load.suffered.longest_lock_wait, logged)


def run_under_fire(place: Scene, fault: Fault) -> list[Ended]:
    """The first run with the fault, then again as a deploy is, until one ends well."""
    with fault.around(place):
        began = time.monotonic()
        process = place.start(*fault.arguments)
        fault.during(place, process, place.apply)
        runs = [place.finish(process, began)]
    fault.remedy(place)
    while len(runs) < fault.least or (runs[-1].code and len(runs) < RUNS):
        runs.append(place.apply())
    return runs


def unharmed(suffered: Suffered, tolerated: frozenset[str] = frozenset()) -> None:
    """The application met no error, and waited for no lock longer than was configured."""
    assert {} == {code: n for code, n in suffered.errors.items() if code not in tolerated}
    assert suffered.longest_lock_wait < LOCK_TIMEOUT + SLACK
    assert suffered.slowest < SLOWEST
    assert suffered.statements > 100


def settled(place: Scene, last: Ended) -> None:
    """All is as in a fresh database, nothing is left of any run, and the record says so."""
    assert (0, []) == (last.code, place.wrong()), place.ended
    document = last.json()
    assert ([], [], "done") == (document["left"], document["failed"], document["outcome"])
    with place.admin() as connection:
        assert [] == fire_state.misrecorded(connection, document)


@pytest.mark.parametrize("fault", _faults())
def test_a_fault_under_fire(place: Scene, gateway: Gateway, fault: Fault) -> None:
    with under_load(place, gateway) as suffered:
        runs = run_under_fire(place, fault)
    struck = any(re.search(fault.struck, seen) for seen in ["", *place.struck])
    wrong, others = tuple(place.wrong()), tuple(place.application)
    _outcomes.append(Outcome(fault.name, "dbopt", struck, tuple(runs), wrong, suffered, others))

    assert struck, place.struck
    assert runs[0].code in fault.codes, [(r.out, r.err) for r in runs]
    assert re.search(fault.says, runs[0].err), runs[0].err
    assert [] == [words for run in place.ended for words in unexplained(run)], place.ended
    assert [] == place.application
    settled(place, runs[-1])
    unharmed(suffered, fault.tolerated)


def test_killed_at_chosen_points(place: Scene, gateway: Gateway) -> None:
    """The next run goes on from each, is killed at the next, and the last ends it."""
    killed_at_each(place, gateway, [aim for aim in AIMS if aim.often])


@pytest.mark.soak
def test_killed_at_all_chosen_points(place: Scene, gateway: Gateway) -> None:
    killed_at_each(place, gateway, list(AIMS))


def killed_at_each(place: Scene, gateway: Gateway, aims: list[Any]) -> None:
    with under_load(place, gateway) as suffered:
        where = [killed_at(place, aim)[1] for aim in aims]
        last = place.apply()
    _moments.update(where)
    runs, wrong = tuple(place.ended), tuple(place.wrong())
    _outcomes.append(Outcome("SIGKILL at chosen points", "dbopt", True, runs, wrong, suffered))

    assert [aim.moment for aim in aims] == [
        moment[: len(aim.moment)] for aim, moment in zip(aims, where, strict=True)
    ]
    settled(place, last)
    unharmed(suffered)


@pytest.mark.soak
def test_killed_at_fifty_random_moments(
    cluster: EmbeddedCluster, template: tuple[Path, float], gateway: Gateway
) -> None:
    luck = random.Random(SEED)  # noqa: S311 - no secret
    directory, seconds = template
    runs: list[Ended] = []
    all_of_it = Suffered()
    while sum(ended.code < 0 for ended in runs) < 50:
        with scene(cluster, f"fire_{next(_numbers)}", directory) as place:
            with under_load(place, gateway) as suffered:
                for _ in range(5):
                    _moments[killed_at_random(place, luck, seconds)[1]] += 1
                last = place.apply()
            runs += place.ended
            settled(place, last)
            unharmed(suffered)
            all_of_it.add(suffered)
    kills = sum(ended.code < 0 for ended in runs)
    _outcomes.append(Outcome(f"SIGKILL x {kills}", "dbopt", True, tuple(runs), (), all_of_it))


@pytest.mark.soak
@pytest.mark.parametrize("fault", _faults(peer=True))
def test_the_same_fault_with_plain_alembic(
    place: Scene, gateway: Gateway, fault: Fault, tmp_path: Path
) -> None:
    """Nothing is asked of it: it is there to compare with."""
    peer = Alembic(place, tmp_path / "app", fault.index)
    with under_load(place, gateway) as suffered:
        with fault.around(place):
            peer.make()
            began = time.monotonic()
            process = peer.start()
            try:
                fault.during(place, process, peer.apply)
            except AssertionError:
                place.struck.clear()
            runs = [place.finish(process, began)]
        fault.remedy(place)
        peer.make()
        while runs[-1].code and len(runs) < RUNS:
            runs.append(peer.apply())
    struck = any(re.search(fault.struck, seen) for seen in ["", *place.struck])
    others = tuple(place.application)
    _outcomes.append(
        Outcome(fault.name, "Alembic", struck, tuple(runs), tuple(peer.wrong()), suffered, others)
    )
    assert suffered.statements > 100
