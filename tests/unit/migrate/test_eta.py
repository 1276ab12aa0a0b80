from __future__ import annotations

import pytest

from dbopt.migrate.eta import Eta

SCAN = "building index: scanning table"
LOAD = "building index: loading tuples in tree"
SNAPSHOTS = "waiting for old snapshots"


def test_at_the_start_nobody_knows() -> None:
    eta = Eta()

    assert eta.seen(SCAN, 0.02, 0.0, blocked=False) is None
    assert eta.seen(SCAN, 0.02, 9.0, blocked=False) is None, "nothing is done yet"
    assert Eta().seen(SCAN, 0.2, 0.0, blocked=False) is None, "no time has passed"


def test_the_rest_at_the_speed_so_far() -> None:
    eta = Eta()
    eta.seen(SCAN, 0.02, 0.0, blocked=False)

    # 0.1 of the whole in 10 s: 0.88 are left.
    assert eta.seen(SCAN, 0.12, 10.0, blocked=False) == pytest.approx(88.0)


def test_each_phase_has_its_own_speed() -> None:
    eta = Eta()
    eta.seen(SCAN, 0.02, 0.0, blocked=False)
    eta.seen(SCAN, 0.4, 38.0, blocked=False)
    eta.seen(LOAD, 0.4, 38.0, blocked=False)

    # This phase: 0.1 of its 0.2 in 20 s. What follows: 0.48 of the whole in 58 s until now.
    left = eta.seen(LOAD, 0.5, 58.0, blocked=False)
    assert left == pytest.approx(20.0 + 0.4 * 58 / 0.48)


def test_while_it_waits_nobody_knows_and_the_wait_does_not_count() -> None:
    eta = Eta()
    eta.seen("waiting for writers before build", 0.0, 0.0, blocked=True)
    assert eta.seen("waiting for writers before build", 0.01, 900.0, blocked=False) is None
    eta.seen(SCAN, 0.02, 900.0, blocked=False)

    assert eta.seen(SCAN, 0.12, 910.0, blocked=True) is None
    assert eta.seen(SCAN, 0.12, 910.0, blocked=False) == pytest.approx(88.0)
    assert eta.seen(SNAPSHOTS, 0.96, 920.0, blocked=False) is None


def test_a_phase_of_a_later_version_ends_with_the_whole() -> None:
    eta = Eta()
    eta.seen("a new phase", 0.0, 0.0, blocked=False)

    assert eta.seen("a new phase", 0.5, 10.0, blocked=False) == pytest.approx(10.0)
