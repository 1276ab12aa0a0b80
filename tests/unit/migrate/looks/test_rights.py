from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbopt.migrate.looks import rights
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.sql.findings import Severity
from tests.unit.migrate.looks.sights import CREATE, DROP, TABLE, WANTED, sight


def test_an_owner_may() -> None:
    allowed = sight()

    assert [] == [
        *rights.privileges(allowed),
        *rights.tablespaces(allowed),
        *rights.names(allowed),
    ]


@pytest.mark.parametrize(
    ("table", "remedy"),
    [
        ({"owned": False, "owner": "boss"}, 'GRANT "boss" TO "app";'),
        ({"can_create": False}, 'GRANT CREATE ON SCHEMA "public" TO "app";'),
    ],
)
def test_a_table_of_others(table: dict[str, Any], remedy: str) -> None:
    (found,) = rights.privileges(sight(tables={("public", "t"): replace(TABLE, **table)}))

    assert (Severity.CRITICAL, "public.t", remedy) == (found.severity, found.object, found.remedy)


def test_a_drop_needs_no_right_to_create() -> None:
    tables = {("public", "t"): replace(TABLE, can_create=False)}

    assert [] == list(rights.privileges(sight(DROP, tables=tables)))


def test_a_table_is_told_once() -> None:
    tables = {("public", "t"): replace(TABLE, owned=False)}
    steps = (CREATE, Step(Action.CREATE, replace(WANTED, name="j")))

    assert 1 == len(list(rights.privileges(sight(*steps, tables=tables))))


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ((), 'There is no tablespace "fast".'),
        (
            (look.Tablespace(5, "fast", "/fast", False, False),),
            'This role may not use the tablespace "fast".',
        ),
        ((look.Tablespace(5, "fast", "/fast", False, True),), ""),
    ],
)
def test_tablespaces(spaces: tuple[look.Tablespace, ...], message: str) -> None:
    step = Step(Action.CREATE, replace(WANTED, tablespace="fast"))
    found = list(rights.tablespaces(sight(step, tablespaces=spaces)))

    assert ([message] if message else []) == [one.message for one in found]


def test_names() -> None:
    long = Step(Action.CREATE, replace(WANTED, name="ä" * 32))
    (cut,) = rights.names(sight(long))
    (taken,) = rights.names(sight(taken={("public", "i"): "sequence"}))

    assert "The name has more than 63 bytes, and would be cut." == cut.message
    assert "The name belongs to a sequence of the schema public." == taken.message
