from __future__ import annotations

import pytest

from dbopt.sql.rules.count_for_existence import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select id from users u where (select count(*) from orders o where o.user_id = u.id) > 0",
    "select id from users u where 0 < (select count(*) from orders o where o.user_id = u.id)",
    "select id from users u where (select count(1) from orders o where o.user_id = u.id) >= 1",
    "select id from users u where (select count(*) as n from orders where user_id = u.id) <> 0",
    "select id from users u where (select count(*) from orders o where o.user_id = u.id) = 0",
    "select id from users u where (select count(note) from orders o where o.user_id = u.id) < 1",
    "select case when (select count(*) from orders) > 0 then 1 else 2 end",
    "select count(*) > 0 from orders where status = 'open'",
    "select count(*) = 0 as empty from orders",
]
PASSES = [
    "select user_id from orders group by user_id having count(*) > 0",
    "select id from users u where (select count(*) from orders o where o.user_id = u.id) > 5",
    "select id from users u where (select count(*) from orders o where o.user_id = u.id) > $1",
    "select id from users u where (select count(*) from orders o where o.user_id = u.id) >= 0",
    "select id from users u where (select count(distinct status) from orders) > 0",
    "select id from users where (select count(*) from orders group by status) > 0",
    "select id from users where (select count(*) from orders having max(id) > 5) > 0",
    "select id from users where (select max(id) from orders) > 0",
    "select id from users where (select count(*) filter (where id > 1) from orders) > 0",
    "select id from users where (select count(*) from orders limit 0) > 0",
    "select count(*) from orders where id > 0",
    "select count(*) > 0, max(id) from orders",
    "select status, count(*) > 0 from orders group by status",
    "select count(*) > 0 from orders group by status",
    "select count(*) over () > 0 from orders",
    "select id from users where (select count(*)) > 0",
    "select id from users where (select count(*) from orders) > '0'",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


@pytest.mark.parametrize(
    ("text", "rewrite"),
    [
        (
            "select id from u where (select count(*) from o where o.u = u.id) > 0",
            "SELECT id FROM u WHERE EXISTS(SELECT 1 FROM o WHERE o.u = u.id)",
        ),
        (
            "select id from u where a and 0 = (select count(*) from o where o.u = $1)",
            "SELECT id FROM u WHERE a AND NOT EXISTS(SELECT 1 FROM o WHERE o.u = $1)",
        ),
        (
            "select id from u where ((select count(*) from o) = 0) = a",
            "SELECT id FROM u WHERE (NOT EXISTS(SELECT 1 FROM o)) = a",
        ),
        (
            "select count(*) > 0 from o where a",
            'SELECT EXISTS(SELECT 1 FROM o WHERE a) AS "?column?"',
        ),
        (
            "select count(*) = 0 as none from o",
            "SELECT NOT EXISTS(SELECT 1 FROM o) AS none",
        ),
    ],
)
def test_rewrites(text: str, rewrite: str) -> None:
    assert [rewrite] == rewrites(RULE, text)


def test_a_column_is_counted_where_it_is_not_null() -> None:
    text = "select id from users where (select count(note) from orders o where o.due is null or "
    text += "o.id = 1) > 0"
    assert [
        "SELECT id FROM users WHERE EXISTS(SELECT 1 FROM orders AS o "
        "WHERE (o.due IS NULL OR o.id = 1) AND note IS NOT NULL)"
    ] == rewrites(RULE, text, SAMPLE)


@pytest.mark.parametrize(
    "text",
    [
        "select count(o) > 0 from orders o",
        "select count(o.o) > 0 from orders o",
        "select id from users where (select count(x) from elsewhere) > 0",
    ],
)
def test_a_row_with_a_null_in_it_is_counted_too(text: str) -> None:
    """IS NOT NULL is false of it; and what is not known may be a row."""
    assert 1 == len(matches(RULE, text, SAMPLE))
    assert [] == rewrites(RULE, text, SAMPLE)


@pytest.mark.parametrize("condition", ["random() > 0.5", "my_function(id)", "nextval('q') > 3"])
def test_a_volatile_function_is_not_called_less_often(condition: str) -> None:
    text = f"select id from users where (select count(*) from orders where {condition}) > 0"
    assert 1 == len(matches(RULE, text))
    assert [] == rewrites(RULE, text)
