from __future__ import annotations

import pytest

from dbopt.errors import DeadlinePassed, MigrationError
from dbopt.migrate.outcome import Applied, Failed, Outcome
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.work import Built
from dbopt.sql.indexdef import IndexDefinition, IndexKey

STEP = Step(
    Action.CREATE,
    IndexDefinition("b", "public", "users", "btree", (IndexKey("b"),)),
    where="indexes/users.sql:3",
)
BUILT = Built("a", "users", 1200.04, True, Action.CREATE)
KEPT = Built("k", "users", 0.0, True, Action.PRESENT)
FAILED = Failed.of(STEP, MigrationError("It failed.", hint="Mend it."))


def test_a_failed_step_says_where_why_and_what_to_do() -> None:
    assert FAILED.to_dict() == {
        "name": "b",
        "table": "users",
        "action": "create",
        "message": "It failed.",
        "remedy": "Mend it.",
        "where": "indexes/users.sql:3",
    }


@pytest.mark.parametrize(
    ("applied", "code", "so_far"),
    [
        (Applied(), 0, Outcome.DONE),
        (Applied(built=(BUILT, KEPT)), 0, Outcome.DONE),
        (Applied(built=(BUILT,), failed=(FAILED,), left=(STEP,)), 4, Outcome.PARTLY),
        (Applied(built=(KEPT,), failed=(FAILED,), left=(STEP,)), 4, Outcome.FAILED),
        (Applied(built=(BUILT,), left=(STEP,)), 4, Outcome.PARTLY),
        (Applied(built=(BUILT,), left=(STEP,), outcome=Outcome.DEADLINE), 6, Outcome.PARTLY),
    ],
)
def test_exit_codes(applied: Applied, code: int, so_far: Outcome) -> None:
    assert (applied.exit_code, applied.so_far) == (code, so_far)
    assert (applied.error() is None) == (code == 0)


def test_the_store_knows_no_deadline() -> None:
    late = Applied(left=(STEP,), outcome=Outcome.DEADLINE)
    assert late.recorded == "failed"
    assert Applied(outcome=Outcome.CANCELLED).recorded == "cancelled"


def test_a_failure_as_an_error() -> None:
    Applied(built=(BUILT,)).raise_for_failure()
    with pytest.raises(MigrationError, match=r"^It failed\. Mend it\.$"):
        Applied(failed=(FAILED,)).raise_for_failure()
    with pytest.raises(DeadlinePassed, match=r'1 done, 1 left: "b"\. Run again'):
        Applied(built=(BUILT,), left=(STEP,), outcome=Outcome.DEADLINE).raise_for_failure()


def test_what_a_signal_has_left_undone() -> None:
    words = Applied(built=(BUILT, KEPT), left=(STEP,)).stopped()
    assert words == "Stopped. Done: a. Left: b. Run again: it goes on from there."


def test_as_json() -> None:
    applied = Applied("r1", (BUILT,), (FAILED,), (STEP,), Outcome.PARTLY)
    document = applied.to_dict()

    assert document["built"] == [
        {"name": "a", "table": "users", "ms": 1200.0, "valid": True, "action": "create"}
    ]
    assert (document["run"], document["outcome"]) == ("r1", "partly")
    assert document["failed"] == [FAILED.to_dict()]
    assert document["left"][0]["name"] == "b"
    assert Applied().to_dict()["run"] is None
