from __future__ import annotations

import pytest

from dbopt.sql.rules.count_for_existence import RULE
from tests.unit.sql.rules.asking import matches, rewrites

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
            "select id from u where (select count(x) from o where a or b) > 0",
            "SELECT id FROM u WHERE EXISTS(SELECT 1 FROM o WHERE (a OR b) AND x IS NOT NULL)",
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


@pytest.mark.parametrize("condition", ["random() > 0.5", "my_function(id)", "nextval('q') > 3"])
def test_a_volatile_function_is_not_called_less_often(condition: str) -> None:
    text = f"select id from users where (select count(*) from orders where {condition}) > 0"
    assert 1 == len(matches(RULE, text))
    assert [] == rewrites(RULE, text)
