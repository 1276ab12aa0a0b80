from __future__ import annotations

import pytest

from dbopt.sql.rules.offset_pagination import RULE
from tests.unit.sql.rules.asking import matches

FIRES = [
    "select id from users order by id limit 20 offset $1",
    "select id from users order by id limit $1 offset $2",
    "select id from users order by id limit 20 offset 10000",
    "select id from users order by id limit 20 offset ($1 - 1) * 20",
    "select id from users order by id offset 5000 rows fetch next 20 rows only",
    "select id from users limit 20 offset 100",
    "select * from (select id from users order by id limit 20 offset $1) s",
    "select id from a union select id from b order by id limit 5 offset $1",
    "select id from users order by id limit 20 offset %s",
]
PASSES = [
    "select id from users order by id limit 20",
    "select id from users order by id limit 20 offset 0",
    "select id from users order by score desc limit 1 offset 1",
    "select id from users order by id offset 500",
    "select score from users order by score limit 1 offset (select count(*) / 2 from users)",
    "select id from users order by id limit 20 offset null",
    'select id, "offset" from users where "offset" > 1000 limit 20',
    "select id from users where id > $1 order by id limit 20",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


@pytest.mark.parametrize(
    ("order", "condition"),
    [
        ("id", "WHERE id > :last_id,"),
        ("u.id desc", "WHERE u.id < :last_id,"),
        ("created_at desc, id desc", "WHERE (created_at, id) < (:last_created_at, :last_id),"),
        (
            "name, id desc",
            "WHERE name > :last_name OR (name = :last_name AND id < :last_id),",
        ),
    ],
)
def test_the_remedy_is_a_keyset_of_the_same_order(order: str, condition: str) -> None:
    (found,) = matches(RULE, f"select id from users u order by {order} limit 9 offset $1")
    assert condition in found.remedy


def test_an_order_of_expressions_has_the_general_remedy() -> None:
    (found,) = matches(RULE, "select id from users order by lower(name) limit 9 offset $1")
    assert "" == found.remedy


def test_no_order_is_said_to_be_worse() -> None:
    (found,) = matches(RULE, "select id from users limit 20 offset $1")
    assert found.message.endswith("Without ORDER BY, pages may overlap and rows be missed.")
