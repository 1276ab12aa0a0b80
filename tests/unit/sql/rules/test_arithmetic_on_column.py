from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.arithmetic_on_column import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select id from orders where quantity + 1 > 3",
    "select id from orders o where 3 = o.quantity - 1",
    "select id from orders where quantity * 2 <= $1",
    "select id from orders where placed_at + interval '1 day' > now()",
    "select id from orders where (quantity + 1) in (3, 4)",
    "select id from orders where quantity + 1 between 3 and 4",
    "delete from orders where 30 + due < current_date",
]
PASSES = [
    "select quantity + 1 from orders where quantity > 3 - 1",
    "select id from orders where quantity + id > 3",
    "select id from orders where quantity + 1 > id",
    "select id from orders where quantity + 1 <> 3",
    "select id from orders where not quantity + 1 > 3",
    "select id from orders where quantity % 10 = 3",
    "select id from orders order by quantity + 1",
    "select id from orders group by id having max(quantity) + 1 > 3",
    "select id from events where payload - 'a' = '{}'",
    "select id from orders where quantity > $1 + 1",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    (found,) = matches(RULE, text)
    assert found.severity is Severity.INFO
    (found,) = matches(RULE, text, SAMPLE)
    assert found.severity is None


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)
    assert [] == matches(RULE, text, SAMPLE)


@pytest.mark.parametrize(
    "text",
    [
        "select id from orders where total + 1 > 3",
        "select 1 from items where position + 1 > 3",
        "select 1 from elsewhere where quantity + 1 > 3",
    ],
)
def test_a_column_without_an_index_of_its_own_passes(text: str) -> None:
    assert [] == matches(RULE, text, SAMPLE)


@pytest.mark.parametrize(
    ("condition", "rewrite"),
    [
        ("quantity + 1 > 3", "quantity > 2"),
        ("1 + quantity = 3", "quantity = 2"),
        ("quantity - 5 <= -7", "quantity <= -2"),
        ("10 - quantity > 3", "quantity < 7"),
        ("3 >= quantity + 1", "quantity <= 2"),
        ("(quantity + 1) > (3)", "quantity > 2"),
    ],
)
def test_integers_are_solved(condition: str, rewrite: str) -> None:
    text = f"select id from orders where {condition} and id > $1"
    expected = f"SELECT id FROM orders WHERE {rewrite} AND id > $1"
    assert [expected] == rewrites(RULE, text, SAMPLE)


@pytest.mark.parametrize(
    "condition",
    [
        "quantity + $1 > 3",
        "quantity + 1.5 > 3",
        "quantity + 1 > 3.5",
        "quantity * 2 > 3",
        "quantity / 2 > 3",
        "quantity + 1 in (3, 4)",
        "quantity + 5000000000 > 3",
        "due + 1 > '2024-01-01'",
        "placed_at + interval '1 month' > now()",
    ],
)
def test_the_rest_is_not(condition: str) -> None:
    text = f"select id from orders where {condition}"
    assert 1 == len(matches(RULE, text, SAMPLE))
    assert [] == rewrites(RULE, text, SAMPLE)
