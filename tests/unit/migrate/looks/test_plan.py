from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from dbopt.migrate.annotations import Annotations
from dbopt.migrate.declared import Declared
from dbopt.migrate.looks import plan
from dbopt.migrate.steps import Action, Step
from dbopt.pg.catalog import Locked
from dbopt.sql.findings import Severity
from tests.unit.migrate.looks.sights import CREATE, DROP, TABLE, WANTED, sight

TWIN = replace(WANTED, name="twin")
THERE = DROP.existing


def test_states() -> None:
    assert THERE is not None
    steps = (
        CREATE,
        DROP,
        Step(Action.PRESENT, WANTED, THERE),
        Step(Action.PRESENT, WANTED, replace(THERE, definition=TWIN)),
        Step(Action.PRESENT, WANTED, replace(THERE, definition=TWIN), "as twin: it is a view's"),
        Step(Action.REBUILD, WANTED, THERE, "it is invalid"),
        Step(Action.CONFLICT, WANTED, THERE, "it is a constraint's"),
        Step(Action.BUSY, WANTED, THERE, "pid 7 builds it now"),
    )

    assert [
        ("equivalent", "The same index is there as public.twin."),
        ("equivalent", "The same index is there as twin: it is a view's."),
        ("invalid", "It is there and invalid: no query uses it, every write pays for it."),
        ("conflict", "Nothing is done with it: it is a constraint's."),
        ("index-build", "It is being built: pid 7 builds it now."),
    ] == [(found.rule, found.message) for found in plan.states(sight(*steps))]


def test_a_table_without_statistics() -> None:
    (found,) = plan.statistics(sight(tables={("public", "t"): replace(TABLE, analyzed=False)}))

    assert 'ANALYZE "public"."t";' == found.remedy
    assert [] == list(plan.statistics(sight()))


def test_of_many_tables_without_statistics_few_are_named() -> None:
    steps = [replace(CREATE, definition=replace(WANTED, table=f"t{n}")) for n in range(7)]
    tables = {("public", f"t{n}"): replace(TABLE, name=f"t{n}", analyzed=False) for n in range(7)}
    (found,) = plan.statistics(sight(*steps, tables=tables))

    assert "public.t0, public.t1, public.t2, public.t3, public.t4 and 2 more" == found.object
    assert "ANALYZE;" == found.remedy


def test_expired_declarations_are_reported() -> None:
    last = Declared(WANTED, Path("t.sql"), 3, annotations=Annotations(expires=date(2026, 1, 1)))

    assert [] == list(plan.expired([last], date(2026, 1, 1)))
    (found,) = plan.expired([last], date(2026, 1, 2))
    assert (Severity.WARNING, "It was wanted until 2026-01-01 (t.sql:3).") == (
        found.severity,
        found.message,
    )


def test_what_is_invalid_and_nobodys_is_told() -> None:
    assert THERE is not None
    spare = replace(THERE, definition=replace(WANTED, name="Spare", unique=True), valid=False)

    assert [] == list(plan.left_invalid([THERE, replace(spare, builder_pid=7)]))
    (found,) = plan.left_invalid([spare])
    assert ("invalid", Severity.WARNING, "public.Spare") == (
        found.rule, found.severity, found.object,
    )  # fmt: skip
    assert found.message.endswith("every write pays for it, and rows must be unique for it.")
    assert 'DROP INDEX CONCURRENTLY "public"."Spare";' == found.remedy


def test_a_register_that_is_not_seen() -> None:
    assert [] == list(plan.unregistered("shop", ""))
    (found,) = plan.unregistered("shop", "It cannot be reached.")
    assert (False, "shop") == (found.examined, found.object)
    assert found.message.endswith("so no drop is planned. The store: It cannot be reached.")


def test_a_table_that_is_locked_was_not_looked_at() -> None:
    locked = [Locked("app", "big", 1, 7, needed=False), Locked("app", "odd", 2, 0, needed=False)]

    found = list(plan.locked(locked))

    assert [("app.big", False), ("app.odd", False)] == [(one.object, one.examined) for one in found]
    assert "pid 7 has locked it" in found[0].message
    assert "a prepared transaction has locked it" in found[1].message
