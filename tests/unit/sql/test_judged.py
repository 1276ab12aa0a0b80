from __future__ import annotations

from dbopt.sql.certainty import Doubt
from dbopt.sql.classify import NOTHING, Classification, combine
from dbopt.sql.query import Kind, Relation

A, B = Relation("", "a"), Relation("s", "b")


def test_nothing_is_not_read_only() -> None:
    assert combine([]) is NOTHING
    assert (False, False) == (NOTHING.read_only, NOTHING.parsed)


def test_one_statement_is_itself() -> None:
    one = Classification(Kind.READ, True, (A,))
    assert combine([one]) is one


def test_several_do_what_each_does() -> None:
    doubt = Doubt("writes")
    every = [
        Classification(Kind.READ, True, (B,)),
        Classification(Kind.UPDATE, False, (B,), (A,), unqualified=True, doubts=(doubt,)),
        Classification(Kind.EXPLAIN, True, (A,), parsed=False, ddl=True, doubts=(doubt,)),
    ]
    expected = Classification(
        Kind.UPDATE,
        False,
        (A, B),
        (A,),
        parsed=False,
        unqualified=True,
        ddl=True,
        doubts=(Doubt("several statements"), doubt),
    )
    assert expected == combine(every)
