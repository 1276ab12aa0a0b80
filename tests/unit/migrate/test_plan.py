from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.migrate.plan import Action, Step, plan
from dbopt.pg.catalog import Index
from dbopt.sql.indexdef import IndexDefinition, IndexKey

WANTED = IndexDefinition("i", "public", "t", "btree", (IndexKey("a"),))
THERE = Index(oid=1, table_oid=2, definition=WANTED, sql="CREATE INDEX i …")


def test_nothing_there_is_created() -> None:
    assert plan([WANTED], []) == [Step(Action.CREATE, WANTED)]


def test_the_same_valid_one_is_present() -> None:
    assert plan([WANTED], [THERE]) == [Step(Action.PRESENT, WANTED, THERE)]


def test_an_invalid_one_is_rebuilt() -> None:
    (step,) = plan([WANTED], [replace(THERE, valid=False)])

    assert step.action is Action.REBUILD


def test_one_that_is_being_built_is_busy() -> None:
    (step,) = plan([WANTED], [replace(THERE, valid=False, builder_pid=7)])

    assert (step.action, step.reason) == (Action.BUSY, "pid 7 builds it now")


@pytest.mark.parametrize("valid", [True, False])
def test_another_definition_of_that_name_is_a_conflict(valid: bool) -> None:
    other = replace(THERE, definition=replace(WANTED, keys=(IndexKey("b"),)), valid=valid)
    (step,) = plan([WANTED], [other])

    assert (step.action, step.reason) == (
        Action.CONFLICT,
        "that name is taken: CREATE INDEX i …",
    )


def test_the_same_meaning_under_another_name_serves_if_valid() -> None:
    twin = replace(THERE, definition=replace(WANTED, name="twin"))

    assert plan([WANTED], [twin]) == [Step(Action.PRESENT, WANTED, twin, "as twin")]
    assert plan([WANTED], [replace(twin, valid=False)]) == [Step(Action.CREATE, WANTED)]


def test_another_schema_is_another_index() -> None:
    elsewhere = replace(THERE, definition=replace(WANTED, schema="archive"))

    assert plan([WANTED], [elsewhere]) == [Step(Action.CREATE, WANTED)]


def test_a_step_as_json() -> None:
    assert Step(Action.REBUILD, WANTED, THERE, "why").to_dict() == {
        "name": "i",
        "schema": "public",
        "table": "t",
        "action": "rebuild",
        "existing": "i",
        "reason": "why",
        "where": "",
        "partitions": [],
    }
