from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.function_on_indexed_column import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

INDEXED = [
    "select id from users where lower(email) = $1",
    "select id from users u where upper(u.country) in ('FR', 'DE')",
    "select id from users where coalesce(name, '') = 'x'",
    "select id from users where substring(name from 1 for 3) = 'abc'",
    "select id from users where created_at::date = $1",
    "select id from users where date(created_at) between $1 and $2",
    "select id from users where date_trunc('day', created_at) >= $1",
    "select id from users where extract(year from created_at) = 2024",
    "select id from users where to_char(created_at, 'YYYY') = '2024'",
    "select id from users where abs(score) > 3",
    "select id from users where 3 < abs(score)",
    "select id from users where score::bigint = $1",
    "select id from orders o join users u on lower(u.email) = 'x' and o.user_id = u.id",
    "update users set active = true where lower(email) = $1",
    "select id from users where active or lower(trim(email)) = $1",
]
NOT_INDEXED = [
    "select id from users where coalesce(active, false) = true",
    "select id from items where lower(sku) = 'x'",
    "select id from items where abs(position) = 3",
    # There is an index of the expression.
    "select id from orders where lower(note) = $1",
    "select id from orders o where lower(o.note) = $1",
]
PASSES = [
    "select lower(email) from users where email = lower($1)",
    "select id from users where email = $1",
    "select id from users order by lower(email)",
    "select id from users group by email having lower(email) = 'x'",
    "select id from users u join orders o on lower(o.note) = lower(u.email)",
    "select id from users where lower(email) = name",
    "select id from users where lower(email) <> $1",
    "select id from users where not lower(email) = $1",
    "select id from users where lower(email) is null",
    "select id from users where lower(email) like 'x%'",
    "select id from users where length(name || email) > 3",
    "select id from users where unknown_function(email) = 'x'",
    "select id from events where (payload ->> 'n')::int > 3",
    "select id from users where payload ->> 'k' = 'x'",
    "select id from users where name::text = 'x'",
    "select id from users where country::text = 'FR'",
    "select id from users where created_at > now()::date",
    "select id from users where lower(email) in (select note from orders)",
    "select count(*) filter (where lower(email) = 'x') from users",
    "select id from users where (select max(lower(email)) from users) = 'x'",
]


@pytest.mark.parametrize("text", INDEXED)
def test_a_schema_makes_it_certain(text: str) -> None:
    (found,) = matches(RULE, text, SAMPLE)
    assert found.severity is None
    assert found.message.endswith("from its index.")


@pytest.mark.parametrize("text", INDEXED)
def test_without_a_schema_it_is_a_guess(text: str) -> None:
    (found,) = matches(RULE, text)
    assert found.severity is Severity.INFO
    assert found.message.endswith("from its index, if it has one.")


@pytest.mark.parametrize("text", [*PASSES, *NOT_INDEXED])
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text, SAMPLE)


@pytest.mark.parametrize("text", PASSES)
def test_passes_without_a_schema(text: str) -> None:
    assert [] == matches(RULE, text)


def test_a_cast_to_the_columns_own_type_is_none() -> None:
    assert [] == matches(RULE, "select id from users where score::integer = 3", SAMPLE)
    assert [] == matches(
        RULE, "select id from users where created_at::timestamptz > '2024-01-01'", SAMPLE
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "select id from users u where lower(u.email) = $1",
            "Index the expression: CREATE INDEX CONCURRENTLY ON users USING btree "
            "((LOWER(email))); or compare the column itself.",
        ),
        (
            "select id from orders where user_id::integer = 3",
            "Cast the other side to the column's type (bigint), not the column.",
        ),
        (
            "select id from users where date(created_at) = $1",
            "Compare the column with a half-open range: created_at >= :start AND "
            "created_at < :end, where :end is the start of the next day, month or year.",
        ),
    ],
)
def test_remedies(text: str, remedy: str) -> None:
    (found,) = matches(RULE, text, SAMPLE)
    assert remedy == found.remedy


@pytest.mark.parametrize(
    ("condition", "rewrite"),
    [
        (
            "placed_at::date = '2024-02-28'",
            "placed_at >= CAST('2024-02-28' AS DATE) AND placed_at < CAST('2024-02-29' AS DATE)",
        ),
        (
            "date(placed_at) = date '2024-12-31' and id > 3",
            "placed_at >= CAST('2024-12-31' AS DATE) AND placed_at < CAST('2025-01-01' AS DATE)"
            " AND id > 3",
        ),
        (
            "date(placed_at) = '2024-01-01' or id = 3",
            "(placed_at >= CAST('2024-01-01' AS DATE) AND placed_at < CAST('2024-01-02' AS DATE))"
            " OR id = 3",
        ),
        ("date(placed_at) > '2024-01-01'", "placed_at >= CAST('2024-01-02' AS DATE)"),
        ("date(placed_at) >= '2024-01-01'", "placed_at >= CAST('2024-01-01' AS DATE)"),
        ("'2024-01-01' > date(placed_at)", "placed_at < CAST('2024-01-01' AS DATE)"),
        ("date(placed_at) <= '2024-01-01'", "placed_at < CAST('2024-01-02' AS DATE)"),
        (
            "extract(year from due) = 2024",
            "due >= CAST('2024-01-01' AS DATE) AND due < CAST('2025-01-01' AS DATE)",
        ),
    ],
)
def test_days_and_years_become_ranges(condition: str, rewrite: str) -> None:
    text = f"select id from orders where {condition}"
    assert [f"SELECT id FROM orders WHERE {rewrite}"] == rewrites(RULE, text, SAMPLE)


@pytest.mark.parametrize(
    "condition",
    [
        "placed_at::date = $1",
        "placed_at::date = 'today'",
        "placed_at::date = 'infinity'",
        "placed_at::date = '2024-02-30'",
        "placed_at::date = '01/02/2024'",
        "placed_at::date = '9999-12-31'",
        "placed_at::date in ('2024-01-01', '2024-01-02')",
        "placed_at::date between '2024-01-01' and '2024-01-02'",
        "extract(month from placed_at) = 3",
        "extract(year from placed_at) = 20240",
        "date_trunc('day', placed_at) = '2024-01-01'",
    ],
)
def test_what_is_not_surely_the_same_is_not_rewritten(condition: str) -> None:
    text = f"select id from orders where {condition}"
    assert 1 == len(matches(RULE, text, SAMPLE))
    assert [] == rewrites(RULE, text, SAMPLE)


def test_a_day_of_a_time_zone_is_not_rewritten() -> None:
    text = "select id from users where created_at::date = '2024-01-01'"
    assert [] == rewrites(RULE, text, SAMPLE)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("extract(year from created_at)", "half-open range"),
        ("date_trunc('month', created_at)", "half-open range"),
        ("extract(month from created_at)", "index the expression"),
        ("extract(dow from created_at at time zone 'UTC')", "index the expression"),
    ],
)
def test_a_part_of_a_date_is_no_range(call: str, expected: str) -> None:
    (found,) = matches(RULE, f"select id from users where {call} = $1")
    assert expected in found.remedy
