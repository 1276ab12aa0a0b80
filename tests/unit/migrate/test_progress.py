from __future__ import annotations

import pytest

from dbopt.migrate.progress import Blocker, fraction

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
        ("a phase of a later version", {"blocks_total": 1, "blocks_done": 1}, 0.0),
    ],
)
def test_the_share_that_is_done(phase: str, counts: dict[str, int], expected: float) -> None:
    assert fraction(phase, {**NOTHING, **counts}) == pytest.approx(expected)


def test_a_blocker_in_words() -> None:
    blocker = Blocker(7, "ann", "report", "idle in transaction", 12.3)

    assert str(blocker) == (
        "pid 7 (user ann report, idle in transaction, its transaction 12 s old)"
    )
    assert str(Blocker(7, "ann", "", "", 0)) == "pid 7 (user ann, state hidden)"
