from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.or_across_columns import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

JOIN = "from orders o join users u on u.id = o.user_id"
BOTH = "where o.status = 'new' or u.email = 'x'"


def test_between_tables_it_becomes_a_union() -> None:
    sql = f"select o.id as oid, u.id {JOIN} {BOTH} order by oid desc"
    half = "SELECT o.id AS oid, u.id FROM orders AS o JOIN users AS u ON u.id = o.user_id WHERE"
    expected = f"{half} o.status = 'new' UNION {half} u.email = 'x' ORDER BY oid DESC"

    assert [expected] == rewrites(RULE, sql, SAMPLE)


def test_the_rest_of_where_stays_with_each_side() -> None:
    sql = (
        f"select o.id, u.id as uid {JOIN} "
        "where o.id > 3 and (o.status = 'a' and u.active or u.name = $1)"
    )
    (rewrite,) = rewrites(RULE, sql, SAMPLE)

    assert "WHERE o.id > 3 AND (o.status = 'a' AND u.active) UNION" in rewrite
    assert rewrite.endswith("WHERE o.id > 3 AND u.name = $1")


@pytest.mark.parametrize(
    "sql",
    [
        # No key of each table, so that UNION would drop rows that are alike.
        f"select o.id {JOIN} {BOTH}",
        f"select o.status, u.email {JOIN} {BOTH}",
        f"select o.id, u.id, o.total + 1 {JOIN} {BOTH}",
        f"select o.id, u.id, random() {JOIN} {BOTH}",
        f"select * {JOIN} {BOTH}",
        f"select o.id, u.id {JOIN} {BOTH} limit 3",
        f"select o.id, u.id {JOIN} {BOTH} order by o.total",
        f"select o.id, u.id {JOIN} {BOTH} order by id",
        f"select o.id, u.id {JOIN} {BOTH} for update",
        f"select count(*) {JOIN} {BOTH}",
        f"select x.id from (select o.id, u.id as uid {JOIN} {BOTH}) x",
        "select e.id, u.id from events e join users u on u.id = e.id "
        "where e.kind = 'x' or u.name = 'y'",
    ],
)
def test_told_but_not_rewritten(sql: str) -> None:
    (match,) = matches(RULE, sql, SAMPLE)

    assert "neither can be narrowed" in match.message
    assert "" == match.rewrite


def test_in_one_table_without_a_schema_it_is_a_hint() -> None:
    (match,) = matches(RULE, "select id from users where name = 'x' or email = $1")

    assert Severity.INFO is match.severity
    assert "OR between email, name: each side needs an index of its own" in match.message


def test_the_schema_names_the_missing_index() -> None:
    (match,) = matches(RULE, "select id from orders where status = 'x' or total = 3", SAMPLE)

    assert ["total"] == match.evidence["without_index"]
    assert "Create an index on total" in match.remedy
    assert "" == match.rewrite


@pytest.mark.parametrize(
    "sql",
    [
        # All sides have an index, or none has one: a UNION would read the table twice.
        "select id from users where name = 'x' or email = 'y'",
        "select id from orders where total = 3 or note = 'x'",
        # One column alone, or one that both sides look at.
        "select id from users where name = 'x' or name = 'y'",
        "select id from users where $1 is null or name = $1",
        "select id from users where name is null or name > 'x'",
        "select id from users where score > 3 or (score = 3 and id > 7)",
        f"select o.id {JOIN} where o.status = 'x' or (o.status = 'y' and u.name = 'z')",
        # A side that no index could serve anyway.
        f"select o.id {JOIN} where o.status = 'x' or u.name is null",
        f"select o.id {JOIN} where o.status = 'x' or u.name like '%z'",
        f"select o.id {JOIN} where o.status = u.name or u.email = 'x'",
        f"select o.id {JOIN} where o.status = 'x' and u.email = 'y'",
        f"select o.id {JOIN} where not (o.status = 'x' or u.email = 'y')",
        f"select o.status = 'x' or u.email = 'y' {JOIN}",
        "select 1 from orders o join users u on o.status = 'x' or u.email = 'y'",
        f"select o.id {JOIN} where o.status = 'x' or exists (select 1)",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql, SAMPLE)


def test_of_one_table_indexes_are_the_first_remedy() -> None:
    (found,) = matches(RULE, "select id from t where a = 1 or b = 2")
    assert "See that each of a, b has an index: a BitmapOr then joins the sides." == found.remedy
