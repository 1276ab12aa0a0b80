from __future__ import annotations

import pytest

from dbopt.sql.calls import calls
from dbopt.sql.parse import parse, split


def called(text: str) -> set[tuple[str, str]]:
    [statement] = split(text)
    tree = parse(statement)
    assert tree is not None
    return set(calls(tree.walk(), statement.tokens))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", set()),
        ('select f(1), S.G(2), "H"(3)', {("", "f"), ("s", "g"), ("", "H")}),
        ("select * from s.f(1)", {("s", "f")}),
        ("select app.lower('x'), pg_catalog.upper('x')", {("app", "lower"), ("", "lower")}),
        ('select encrypt(a, b), "hex"(b) from t', {("", "encrypt"), ("", "hex")}),
        ("select a operator(app.+) b, a operator(pg_catalog.+) b", {("app", "+")}),
        ("with search (a) as (select 1) select * from search as list (b)", set()),
        ("select 1 where (a) and (b) or (c) = any (array(select 1))", set()),
    ],
)
def test_what_may_be_the_applications_function(text: str, expected: set[tuple[str, str]]) -> None:
    found = called(text)
    assert expected <= found | {("", "lower")}
    assert not any(name in {"and", "or", "any", "array", "search", "list"} for _, name in found)
