from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.migrate.looks import sessions
from dbopt.migrate.steps import Action, Step
from dbopt.pg.catalog import Index
from dbopt.pg.look import Session
from dbopt.settings import Migrate
from dbopt.sql.findings import Severity
from tests.unit.migrate.looks.sights import CREATE, DROP, TABLE, WANTED, sight

WRITER = Session(
    7, "app", "worker", "idle in transaction", "client backend", 700.0,
    locks=frozenset({(1, "RowExclusiveLock")}),
)  # fmt: skip
READER = replace(WRITER, locks=frozenset({(1, "AccessShareLock")}))
SNAPSHOT = replace(WRITER, locks=frozenset(), snapshot=True)
TABLES = {("public", "t"): TABLE}
ATTACH = Step(Action.ATTACH, WANTED, Index(oid=9, table_oid=1, definition=WANTED))


@pytest.mark.parametrize(
    ("step", "session", "waits"),
    [
        (CREATE, WRITER, True),
        (CREATE, READER, False),
        (CREATE, SNAPSHOT, True),
        (CREATE, replace(WRITER, locks=frozenset({(2, "AccessExclusiveLock")})), False),
        (CREATE, replace(WRITER, kind="autovacuum worker"), False),
        (CREATE, replace(WRITER, kind="autovacuum worker", wraparound=True), True),
        (DROP, READER, True),
        (DROP, SNAPSHOT, False),
        (Step(Action.RENAME, WANTED, DROP.existing), WRITER, False),
        (Step(Action.CONFLICT, WANTED), WRITER, False),
        (ATTACH, WRITER, False),
        (ATTACH, replace(READER, locks=frozenset({(9, "AccessShareLock")})), True),
        (Step(Action.REPLACE, WANTED, DROP.existing, ready=DROP.existing), SNAPSHOT, False),
    ],
)
def test_who_is_waited_for(step: Step, session: Session, waits: bool) -> None:
    assert ([session] if waits else []) == sessions.blockers(step, TABLES, [session])


def test_parts_at_every_level_are_looked_at() -> None:
    leaf = Step(Action.CREATE, replace(WANTED, name="leaf"))
    middle = Step(Action.CREATE, replace(WANTED, table="m"), partitions=(leaf,))
    whole = Step(Action.CREATE, replace(WANTED, table="p"), partitions=(middle,))

    assert [WRITER] == sessions.blockers(whole, TABLES, [WRITER])


@pytest.mark.parametrize(
    ("step", "age", "severity"),
    [
        (CREATE, 700.0, Severity.CRITICAL),
        (CREATE, 500.0, Severity.INFO),
        (DROP, 700.0, Severity.WARNING),
        (CREATE, 0.5, None),
    ],
)
def test_how_grave_it_is(step: Step, age: float, severity: Severity | None) -> None:
    found = list(sessions.old_transactions(sight(step, sessions=(replace(WRITER, age=age),))))

    assert ([] if severity is None else [severity]) == [one.severity for one in found]


def test_without_a_limit_nothing_is_too_old() -> None:
    unlimited = sight(sessions=(WRITER,), settings=Migrate(max_transaction_age=0))

    assert [Severity.INFO] == [one.severity for one in sessions.old_transactions(unlimited)]


def test_a_vacuum_never_forbids() -> None:
    vacuum = replace(WRITER, doing="vacuum", locks=frozenset({(1, "ShareUpdateExclusiveLock")}))
    (found,) = sessions.old_transactions(sight(sessions=(vacuum,)))
    (wraps,) = sessions.old_transactions(sight(sessions=(replace(vacuum, wraparound=True),)))

    assert ("vacuum", Severity.WARNING) == (found.rule, found.severity)
    assert "SELECT pg_cancel_backend(7);" in found.remedy
    assert wraps.remedy.startswith("Wait: this vacuum prevents wraparound")


def test_a_prepared_transaction_is_named() -> None:
    prepared = Session(
        0, "app", state="prepared", age=0.1, gid="it's", locks=frozenset({(1, "RowExclusiveLock")})
    )
    (found,) = sessions.old_transactions(sight(sessions=(prepared,)))

    assert "prepared-transaction" == found.rule
    assert "COMMIT PREPARED 'it''s'; or ROLLBACK PREPARED 'it''s';" == found.remedy
    assert "prepared transaction of app, 0 s old" in found.message


def test_hidden_sessions_are_not_examined() -> None:
    (found,) = sessions.hidden_sessions(sight(hidden=1))

    assert not found.examined
    assert "Since when 1 session of other roles" in found.message
    assert 'GRANT pg_read_all_stats TO "app";' == found.remedy


def test_a_session_in_words_and_as_evidence() -> None:
    assert "pid 7 (user app, worker, idle in transaction, 700 s old)" == sessions.who(WRITER)
    assert {
        "pid": 7,
        "user": "app",
        "application": "worker",
        "state": "idle in transaction",
        "age": 700.0,
        "snapshot": False,
        "locks": ["RowExclusiveLock"],
    } == sessions.evidence(WRITER)


def test_of_a_hidden_session_the_age_is_not_said_but_that_it_holds_the_table_is() -> None:
    hidden = replace(WRITER, state="", kind="", age=0.0, hidden=True)
    (found,) = sessions.old_transactions(sight(CREATE, sessions=(hidden,)))

    assert (
        "It would wait for pid 7 (user app, worker, state hidden, age hidden), which holds a lock "
        "on t."
    ) == found.message
    assert (Severity.INFO, None) == (found.severity, found.evidence["age"])
