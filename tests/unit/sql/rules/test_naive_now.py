from __future__ import annotations

import pytest

from dbopt.sql.rules.naive_now import RULE
from tests.unit.sql.rules.asking import matches
from tests.unit.sql.rules.sample import SAMPLE


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("at < localtimestamp", "LOCALTIMESTAMP is the session's wall clock"),
        ("localtimestamp(0) > at", "LOCALTIMESTAMP is the session's wall clock"),
        ("at > localtimestamp - interval '1 day'", "LOCALTIMESTAMP is the session's wall clock"),
        ("at < now()::timestamp", "drops the zone of now()"),
        ("at < cast(current_timestamp as timestamp(0))", "drops the zone of now()"),
        ("at between localtimestamp - interval '1 day' and localtimestamp", "LOCALTIMESTAMP"),
    ],
)
def test_fires_without_a_schema(condition: str, message: str) -> None:
    (match,) = matches(RULE, f"select 1 from events where {condition}")

    assert message in match.message


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 from events where at < now()",
        "select 1 from events e where e.at >= current_timestamp - interval '1 day'",
        "select 1 from events where clock_timestamp() > at",
        "select 1 from events where at between now() - interval '1 day' and now()",
        "delete from events where at < now() - interval '1 year'",
        "update orders set note = 'x' where placed_at < statement_timestamp()",
        "select 1 from users u join orders o on o.placed_at < now() and o.user_id = u.id",
        "select 1 from users where exists (select 1 from orders where placed_at < now())",
    ],
)
def test_fires_where_the_schema_says_that_the_column_has_no_zone(sql: str) -> None:
    (match,) = matches(RULE, sql, SAMPLE)

    assert "a timestamp without time zone" in match.message
    assert [] == matches(RULE, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 from users where created_at < now()",
        "select 1 from users where created_at < now() - interval '1 day'",
        "select 1 from events where at < now() at time zone 'utc'",
        "select 1 from events where at < (now() at time zone 'utc') - interval '1 day'",
        "select 1 from events where at at time zone 'utc' < now()",
        "select 1 from events where at < timestamp '2024-01-01'",
        "select 1 from orders where due < current_date",
        "select 1 from orders where due < now()",
        "select 1 from orders where due = now()::date",
        "select localtimestamp from events",
        "select 1 from events where localtimestamp > '2024-01-01'",
        "update events set at = now()",
        "update events set at = localtimestamp where id = 1",
        "insert into events (at) values (now())",
        "insert into events (id) values (1) on conflict (id) do update set at = localtimestamp",
        "select 1 from other where at < now()",
        "with events as (select now() as at) select 1 from events where at < now()",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql, SAMPLE)
