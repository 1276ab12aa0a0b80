from __future__ import annotations

import pytest

from dbopt.migrate.progress import Blocker, Progress, fraction, spell

NOTHING = {
    f"{unit}_{what}": 0 for unit in ("blocks", "tuples", "lockers") for what in ("total", "done")
}


@pytest.mark.parametrize(
    ("phase", "counts", "expected"),
    [
        ("initializing", {}, 0.0),
        ("building index: scanning table", {"blocks_total": 100, "blocks_done": 50}, 0.21),
        ("building index: loading tuples in tree", {"tuples_total": 10, "tuples_done": 10}, 0.6),
        ("index validation: scanning table", {"blocks_total": 4, "blocks_done": 8}, 0.96),
        ("waiting for old snapshots", {"lockers_total": 2, "lockers_done": 1}, 0.98),
        (
            "waiting for old snapshots",
            {"blocks_total": 9, "blocks_done": 9, "lockers_total": 1, "lockers_done": 0},
            0.96,
        ),
        ("a phase of a later version", {"blocks_total": 1, "blocks_done": 1}, 0.0),
    ],
)
def test_the_share_that_is_done(phase: str, counts: dict[str, int], expected: float) -> None:
    assert fraction(phase, {**NOTHING, **counts}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("blocker", "expected"),
    [
        (
            Blocker(7, "ann", "report", "idle in transaction", 12.3),
            "pid 7 (user ann, report, idle in transaction, its transaction 12 s old)",
        ),
        (
            Blocker(7, "ann", "", "active", 720, query="SELECT $1"),
            "pid 7 (user ann, active, its transaction 12 min old: SELECT $1)",
        ),
        (Blocker(7, "ann", "", "", 0), "pid 7 (user ann, state hidden)"),
        (Blocker(7, "", "", "", 0), "pid 7 (user hidden, state hidden)"),
        (
            Blocker(0, "ann", "", "", 9000, gid="import 7"),
            'prepared transaction "import 7" (user ann, its transaction 2.5 h old)',
        ),
        (
            Blocker(7, "", "", "active", 3, autovacuum=True),
            "pid 7 (autovacuum, its transaction 3 s old)",
        ),
        (
            Blocker(7, "", "", "active", 0, autovacuum=True, wraparound=True),
            "pid 7 (autovacuum to prevent wraparound, which does not give way)",
        ),
    ],
)
def test_a_blocker_in_words(blocker: Blocker, expected: str) -> None:
    assert expected == str(blocker)


def test_a_look_in_words() -> None:
    look = Progress("i", "initializing", 0.0)

    assert "initializing" == look.note
    assert "partition 2 of 3, sorting, about 12 s left of this one" == (
        Progress("i", "sorting", 0.5, eta=12.0, part=(2, 3)).note
    )
    assert "sorting, waiting for pid 7 (user ann, state hidden)" == (
        Progress("i", "sorting", 0.5, (Blocker(7, "ann", "", "", 0),), eta=12.0).note
    )


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2.0 h")]
)
def test_a_time_for_people(seconds: float, expected: str) -> None:
    assert expected == spell(seconds)
