from __future__ import annotations

from dbopt.errors import DboptError
from dbopt.wire.sqlstate import SqlState, condition_name


def subclasses(root: type[DboptError]) -> list[type[DboptError]]:
    return [root, *(found for child in root.__subclasses__() for found in subclasses(child))]


def test_every_error_has_its_sqlstate_in_the_table() -> None:
    missing = {e.__name__ for e in subclasses(DboptError) if not condition_name(e.sqlstate)}
    assert set() == missing


def test_a_sqlstate_is_five_characters() -> None:
    assert {5} == {len(state) for state in SqlState}


def test_condition_name() -> None:
    assert condition_name("57014") == "query_canceled"
    assert condition_name("99999") == ""
