from __future__ import annotations

import pytest

from dbopt.sql.lexer import code
from dbopt.sql.relations import read_name, relations_of_tokens


@pytest.mark.parametrize(
    ("text", "reads", "writes"),
    [
        ("select * from a, b.c as d, e join f on", "a b.c e f", ""),
        ("select extract(year from a), trim(both from b), c is distinct from d from e", "e", ""),
        ("select * from only (a) where b in (select c from d)", "a d", ""),
        ("select * from xmltable('x' passing y), unnest(z)", "", ""),
        ("with a as (select 1 from b) select * from a", "b", ""),
        ("insert into a select * from b", "b", "a"),
        ("insert into a values (1) on conflict do update set b = 1", "", "a"),
        ("delete from only a using b", "b", "a"),
        ("update a set b = c from d", "d", "a"),
        ("merge into a using b on c", "b", "a"),
        ("select 1 from a for update of a", "a", ""),
        ("from", "", ""),
    ],
)
def test_an_estimate_by_keywords(text: str, reads: str, writes: str) -> None:
    found = relations_of_tokens(code(text))
    assert (set(reads.split()), set(writes.split())) == (
        set(map(str, found.reads)),
        set(map(str, found.writes)),
    )


@pytest.mark.parametrize(
    ("text", "name", "after"),
    [
        ("a", "a", 1),
        ("a.b x", "a.b", 3),
        ('db."S"."T" x', "S.T", 5),
        ("key", "key", 1),
        ('"select"', "select", 1),
    ],
)
def test_a_name(text: str, name: str, after: int) -> None:
    found = read_name(code(text), 0)
    assert found is not None
    assert (name, after) == (str(found[0]), found[1])


@pytest.mark.parametrize("text", ["", "select", "(", "1", "'a'", "$1"])
def test_no_name(text: str) -> None:
    assert read_name(code(text), 0) is None
