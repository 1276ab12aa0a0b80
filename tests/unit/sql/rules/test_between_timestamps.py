from __future__ import annotations

import pytest

from dbopt.sql.rules.between_timestamps import RULE
from tests.unit.sql.rules.asking import matches
from tests.unit.sql.rules.sample import SAMPLE


@pytest.mark.parametrize(
    "sql",
    [
        "select id from orders where placed_at between '2024-01-01' and '2024-01-31'",
        "select id from users where created_at between $1 and '2024-1-31'",
        "select id from users u where u.created_at between '2024-01-01' and '2024-01-31'::date",
        "delete from events where at not between date '2024-01-01' and date '2024-01-31'",
    ],
)
def test_fires(sql: str) -> None:
    (match,) = matches(RULE, sql, SAMPLE)

    assert "ends at midnight of its last day" in match.message
    assert [] == matches(RULE, sql)


def test_the_remedy_is_a_half_open_range() -> None:
    sql = "select id from orders o where o.placed_at between '2024-01-01' and '2024-01-31'"
    (match,) = matches(RULE, sql, SAMPLE)

    assert (
        "If the whole day is meant: o.placed_at >= '2024-01-01' AND o.placed_at < "
        "'2024-01-31'::date + 1."
    ) == match.remedy


@pytest.mark.parametrize(
    "sql",
    [
        "select id from orders where due between '2024-01-01' and '2024-01-31'",
        "select id from orders where placed_at between '2024-01-01' and '2024-01-31 23:59:59'",
        "select id from orders where placed_at between $1 and $2",
        "select id from orders where placed_at::date between '2024-01-01' and '2024-01-31'",
        "select id from orders where placed_at >= '2024-01-01' and placed_at < '2024-02-01'",
        "select id from orders where note between '2024-01-01' and '2024-01-31'",
        "select id from other where placed_at between '2024-01-01' and '2024-01-31'",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql, SAMPLE)
