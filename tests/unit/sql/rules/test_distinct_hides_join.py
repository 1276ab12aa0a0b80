from __future__ import annotations

import pytest

from dbopt.sql.rules.distinct_hides_join import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

JOIN = "from users u join orders o on o.user_id = u.id"
HALF = "SELECT 1 FROM orders AS o WHERE o.user_id = u.id"


def test_the_join_becomes_exists() -> None:
    expected = f"SELECT DISTINCT u.id, u.name FROM users AS u WHERE EXISTS({HALF})"

    assert [expected] == rewrites(RULE, f"select distinct u.id, u.name {JOIN}")


def test_distinct_goes_where_a_key_is_shown() -> None:
    expected = f"SELECT u.id, u.name FROM users AS u WHERE EXISTS({HALF})"

    assert [expected] == rewrites(RULE, f"select distinct u.id, u.name {JOIN}", SAMPLE)


def test_distinct_stays_where_none_is() -> None:
    expected = f"SELECT DISTINCT u.name FROM users AS u WHERE EXISTS({HALF})"

    assert [expected] == rewrites(RULE, f"select distinct u.name {JOIN}", SAMPLE)


def test_conditions_go_where_their_tables_are() -> None:
    sql = f"select distinct u.id {JOIN} where u.score > 3 and (o.status = 'new' or u.active)"
    expected = (
        f"SELECT DISTINCT u.id FROM users AS u WHERE u.score > 3 AND EXISTS({HALF} "
        "AND (o.status = 'new' OR u.active))"
    )

    assert [expected] == rewrites(RULE, sql)


def test_other_joins_stay() -> None:
    sql = (
        f"select distinct u.name, o.status {JOIN} join items i on i.order_id = o.id "
        "where i.price > 3 order by o.status"
    )
    expected = (
        "SELECT DISTINCT u.name, o.status FROM users AS u JOIN orders AS o ON o.user_id = u.id "
        "WHERE EXISTS(SELECT 1 FROM items AS i WHERE i.order_id = o.id AND i.price > 3) "
        "ORDER BY o.status"
    )

    assert [expected] == rewrites(RULE, sql)


@pytest.mark.parametrize(
    "sql",
    [
        f"select distinct u.id {JOIN}",
        "select distinct u.id from users u, orders o where o.user_id = u.id",
        "select distinct u.* from users u cross join orders o",
        f"with x as (select distinct u.id {JOIN}) select * from x",
        f"insert into t select distinct u.id {JOIN}",
        f"select distinct u.id, random() {JOIN}",
        f"select distinct u.id {JOIN} where exists (select 1 from items i where i.order_id = o.id)",
    ],
)
def test_fires(sql: str) -> None:
    (match,) = matches(RULE, sql)

    assert match.message.startswith("DISTINCT hides the rows that the join with o multiplies")
    assert {"tables": ["o"]} == match.evidence


@pytest.mark.parametrize(
    "sql",
    [
        # Volatile, unknown, or a condition that cannot be taken apart.
        f"select distinct u.id, random() {JOIN}",
        f"select distinct u.id, own(u.name) {JOIN}",
        f"select distinct u.id {JOIN} where exists (select 1 from items i where i.order_id = o.id)",
        f"select distinct u.id {JOIN} where note = 'x'",
    ],
)
def test_is_not_rewritten(sql: str) -> None:
    assert [] == rewrites(RULE, sql)


@pytest.mark.parametrize(
    "sql",
    [
        f"select u.id {JOIN}",
        f"select distinct u.id, o.status {JOIN}",
        f"select distinct * {JOIN}",
        f"select distinct u.*, o.* {JOIN}",
        f"select distinct name {JOIN}",
        f"select distinct on (u.id) u.id {JOIN}",
        f"select distinct u.id, count(*) {JOIN} group by u.id",
        f"select distinct u.id, row_number() over () {JOIN}",
        f"select distinct u.id {JOIN} limit 3",
        f"select distinct u.id || o.status {JOIN}",
        "select distinct u.id from users u left join orders o on o.user_id = u.id",
        "select distinct u.id from users u join orders o using (id)",
        "select distinct u.id from users u natural join orders o",
        "select distinct u.id from users u join (select * from orders) o on o.user_id = u.id",
        "select distinct u.id from users u, lateral (select 1) o",
        "select distinct u.id from users u join generate_series(1, 3) g on true",
        # One row of users for each of orders: nothing is multiplied.
        "select distinct o.status from orders o join users u on u.id = o.user_id",
        "select distinct o.status from orders o join users u on o.user_id = u.id where u.active",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql)


def test_the_schema_tells_whether_a_join_multiplies() -> None:
    by_key = "select distinct o.status from orders o join users u on u.email = o.note"
    by_half_a_key = "select distinct o.status from orders o join items i on i.order_id = o.id"
    by_key_that_is_no_id = "select distinct e.kind from banned b join events e on e.id = b.user_id"

    assert [] == matches(RULE, by_key, SAMPLE)
    assert 1 == len(matches(RULE, by_half_a_key, SAMPLE))
    assert 1 == len(matches(RULE, f"{by_half_a_key} and i.position > 1", SAMPLE))
    assert [] == matches(RULE, f"{by_half_a_key} and i.position = o.quantity", SAMPLE)
    assert [] == matches(RULE, by_key_that_is_no_id.replace("e.kind", "b.reason"))
    assert 1 == len(matches(RULE, by_key_that_is_no_id.replace("e.kind", "b.reason"), SAMPLE))


def test_names_without_a_table_are_told_by_the_schema() -> None:
    sql = "select distinct name from users join orders on user_id = users.id"

    assert [] == matches(RULE, sql)
    assert 1 == len(rewrites(RULE, sql, SAMPLE))


def test_the_join_is_where_it_is() -> None:
    (found,) = matches(RULE, RULE.fires)
    assert found.node is not None
    assert "orders AS o" == found.node.sql(dialect="postgres")


@pytest.mark.parametrize("item", ["unnest(array[1, 1])", "own(u.name)", "own.set_of(1)"])
def test_a_function_may_give_equal_rows(item: str) -> None:
    sql = f"select distinct u.id, {item} as n from users u join orders o on o.user_id = u.id"
    assert all("DISTINCT" in rewrite for rewrite in rewrites(RULE, sql, SAMPLE))
