from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.not_in_subquery import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select id from users where id not in (select user_id from banned)",
    "select id from users where not (id in (select user_id from banned))",
    "delete from users where id not in (select user_id from banned where reason = $1)",
    "select id not in (select user_id from banned) from users",
    "select id from users where (id, name) not in (select user_id, reason from banned)",
    "select id from users where id not in (select id from a union select id from b)",
    "update users set active = false where id not in (select user_id from orders)",
]
PASSES = [
    "select id from users where id not in (1, 2, 3)",
    "select id from users where id in (select user_id from banned)",
    "select id from users u where not exists (select 1 from banned b where b.user_id = u.id)",
    "select id from users where id <> all ($1)",
    "select id from users where id not in (select unnest($1::bigint[]))",
    "select id from users where id not in (values (1), (2))",
]
SAFE = [
    # Both sides are NOT NULL by the tables.
    (
        "select id from users where id not in (select user_id from orders)",
        "SELECT id FROM users WHERE NOT EXISTS(SELECT 1 FROM orders "
        "WHERE users.id = orders.user_id)",
    ),
    (
        "select u.name from users u where u.id not in (select o.user_id from orders o "
        "where o.status = 'new' or o.total > $1) and u.score > 3",
        "SELECT u.name FROM users AS u WHERE NOT EXISTS(SELECT 1 FROM orders AS o "
        "WHERE (o.status = 'new' OR o.total > $1) AND u.id = o.user_id) AND u.score > 3",
    ),
    # A condition says so.
    (
        "select id from users where id not in (select user_id from banned "
        "where user_id is not null)",
        "SELECT id FROM users WHERE NOT EXISTS(SELECT 1 FROM banned "
        "WHERE user_id IS NOT NULL AND users.id = banned.user_id)",
    ),
    (
        "delete from orders where id not in (select order_id from items)",
        "DELETE FROM orders WHERE NOT EXISTS(SELECT 1 FROM items WHERE orders.id = items.order_id)",
    ),
]
NOT_REWRITTEN = [
    # Either side may be NULL.
    "select id from users where id not in (select user_id from banned)",
    "select id from users where score not in (select user_id from orders)",
    "select id from users where id not in (select o.user_id from banned b "
    "left join orders o on o.user_id = b.user_id)",
    "select u.id from banned b left join users u on u.id = b.user_id "
    "where u.id not in (select user_id from orders)",
    # The names of both sides cannot be told apart.
    "select id from users where id not in (select id from users where active)",
    # More than a table's rows.
    "select id from users where id not in (select user_id from orders limit 3)",
    "select id from users where id not in (select distinct user_id from orders)",
    "select id from users where id not in (select user_id from orders group by user_id)",
    "select id from users where id not in (select max(user_id) from orders)",
    "select id from users where id not in (select user_id + 1 from orders)",
    "select id from users where id + 1 not in (select user_id from orders)",
    # A subquery without a name, by which its column could be called.
    "select id from users where id not in (select x from (select user_id as x from orders) "
    "where x is not null)",
    # Unknown, volatile.
    "select id from elsewhere where id not in (select user_id from orders)",
    "select id from users where id not in (select user_id from orders where random() > 0.5)",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))
    assert [] == rewrites(RULE, text)


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text, SAMPLE)


@pytest.mark.parametrize(("text", "rewrite"), SAFE)
def test_rewrites_where_no_null_can_be(text: str, rewrite: str) -> None:
    assert [rewrite] == rewrites(RULE, text, SAMPLE)


@pytest.mark.parametrize("text", NOT_REWRITTEN)
def test_is_not_rewritten(text: str) -> None:
    assert 1 == len(matches(RULE, text, SAMPLE))
    assert [] == rewrites(RULE, text, SAMPLE)


def test_without_a_null_it_is_only_slow() -> None:
    (found,) = matches(RULE, SAFE[0][0], SAMPLE)
    assert found.severity is Severity.INFO
    (found,) = matches(RULE, SAFE[0][0])
    assert found.severity is None
