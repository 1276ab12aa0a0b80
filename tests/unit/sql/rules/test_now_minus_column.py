from __future__ import annotations

import pytest

from dbopt.sql.rules.now_minus_column import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("now() - created_at > interval '36 hours'", "created_at < now() - INTERVAL '36 HOURS'"),
        (
            "current_timestamp - created_at <= interval '1 minute'",
            "created_at >= CURRENT_TIMESTAMP - INTERVAL '1 MINUTE'",
        ),
    ],
)
def test_in_hours_or_less_it_is_turned(condition: str, expected: str) -> None:
    (rewrite,) = rewrites(RULE, f"select id from users where {condition}", SAMPLE)

    assert f"SELECT id FROM users WHERE {expected}" == rewrite


@pytest.mark.parametrize(
    "condition",
    [
        # A day is not always 24 hours, nor a month 30 days; $1 may be anything.
        "now() - created_at > interval '1 day'",
        "now() - created_at > interval '1 month'",
        "now() - created_at > interval '1 hour 2 days'",
        "now() - created_at > '36:00'",
        "now() - created_at > $1",
        "now() - created_at > $1 * interval '1 hour'",
    ],
)
def test_else_the_remedy_tells(condition: str) -> None:
    (match,) = matches(RULE, f"select id from users where {condition}", SAMPLE)

    assert "" == match.rewrite
    assert match.remedy.startswith("Compare the column itself: created_at < now() - ")


def test_of_an_unknown_column_too() -> None:
    (match,) = matches(RULE, "select id from t where now() - x > interval '1 hour'")

    assert "" == match.rewrite
    assert "Compare the column itself: x < now() - INTERVAL '1 HOUR'." == match.remedy


@pytest.mark.parametrize(
    "sql",
    [
        "select id from users where age(created_at) > interval '1 year'",
        "delete from users where not (now() - created_at < interval '1 hour')",
        "select 1 from users u join orders o on now() - o.placed_at > '1 day' and o.id = u.id",
    ],
)
def test_fires(sql: str) -> None:
    assert 1 == len(matches(RULE, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "select id from users where created_at < now() - interval '36 hours'",
        "select now() - created_at > interval '1 hour' from users",
        "select id from users order by now() - created_at > interval '1 hour'",
        "select id from users where now() - created_at > delay",
        "select id from users where now() - interval '1 hour' > created_at",
        "select id from users where now() - '2024-01-01' > interval '1 hour'",
        "select id from orders where current_date - due > 3",
        "select id from users where age(now(), created_at) > interval '1 year'",
        "select country from users group by country having now() - max(created_at) > '1 day'",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql, SAMPLE)
