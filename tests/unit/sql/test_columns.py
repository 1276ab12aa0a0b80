from __future__ import annotations

import pytest

from dbopt.sql.columns import ColumnUse, Role, column_uses
from dbopt.sql.query import Relation

USERS, ORDERS = Relation("public", "users"), Relation("public", "orders")
OTHER = Relation("archive", "orders")
TABLES = {
    USERS: {"id", "mail", "active", "made"},
    ORDERS: {"id", "user_id", "state", "made", "tags", "Odd"},
    OTHER: {"id", "state"},
}


def _roles(text: str) -> set[tuple[str, str, str]]:
    return {(use.relation.name, use.column, use.role.value) for use in column_uses(text, TABLES)}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("state = $1", {("state", "equal")}),
        ("$1 = state", {("state", "equal")}),
        ("(state) = $1", {("state", "equal")}),
        ("state IN ($1, $2)", {("state", "equal")}),
        ("state IN ($1 /*, ... */)", {("state", "equal")}),
        ("state = ANY ($1)", {("state", "equal")}),
        ("state IS NULL", {("state", "equal")}),
        ("state IS NOT NULL", set()),
        ("made > $1 AND made <= $2", {("made", "range")}),
        ("made BETWEEN $1 AND $2", {("made", "range")}),
        ("tags @> $1", {("tags", "contain")}),
        ("tags && ARRAY[$1,$2]", {("tags", "contain")}),
        ("$1 = ANY (tags)", set()),
        ("state = made", set()),
        ("lower(state) = $1", set()),
        ("state = $1::text", {("state", "equal")}),
        ("state <> $1", set()),
        ('"Odd" = $1', {("Odd", "equal")}),
        ("Odd = $1", set()),
        ("STATE = $1", {("state", "equal")}),
        ("unknown = $1", set()),
    ],
)
def test_conditions(condition: str, expected: set[tuple[str, str]]) -> None:
    found = _roles(f"SELECT 1 FROM orders WHERE {condition}")

    assert {(column, role) for _, column, role in found} == expected


def test_a_boolean_column_is_its_own_condition() -> None:
    expected = (ColumnUse(USERS, 0, "active", Role.EQUAL),)

    assert column_uses("SELECT 1 FROM users WHERE active", TABLES) == expected
    assert column_uses("SELECT 1 FROM users WHERE NOT active", TABLES) == expected


def test_under_or_and_not_it_need_not_hold() -> None:
    for condition in ("state = $1 OR made = $2", "NOT (state = $1)"):
        uses = column_uses(f"SELECT 1 FROM orders WHERE {condition}", TABLES)
        assert uses
        assert not any(use.always for use in uses)


def test_a_join_uses_both_sides_through_aliases() -> None:
    assert _roles("SELECT u.mail FROM users u JOIN orders AS o ON o.user_id = u.id") == {
        ("orders", "user_id", "join"),
        ("users", "id", "join"),
    }


def test_using_names_a_column_of_both() -> None:
    assert _roles("SELECT 1 FROM users JOIN orders USING (id)") == {
        ("orders", "id", "join"),
        ("users", "id", "join"),
    }


def test_a_name_that_two_tables_have_is_not_guessed() -> None:
    assert _roles("SELECT 1 FROM users, orders WHERE made = $1 AND state = $2") == {
        ("orders", "state", "equal")
    }


def test_a_correlated_subquery_reaches_outwards() -> None:
    text = "SELECT 1 FROM users u WHERE EXISTS (SELECT FROM orders WHERE user_id = u.id)"

    assert _roles(text) == {("orders", "user_id", "join"), ("users", "id", "join")}


def test_the_nearest_query_wins() -> None:
    text = "SELECT 1 FROM users WHERE id IN (SELECT user_id FROM orders WHERE made = $1)"

    assert ("orders", "made", "equal") in _roles(text)
    assert ("users", "made", "equal") not in _roles(text)


def test_two_occurrences_of_a_table_are_told_apart() -> None:
    text = "SELECT 1 FROM orders a JOIN orders b ON a.id = b.user_id WHERE a.state = $1"
    sources = {(use.column, use.source) for use in column_uses(text, TABLES)}

    assert sources == {("id", 0), ("state", 0), ("user_id", 1)}


def test_a_cte_hides_a_table_of_its_name() -> None:
    text = "WITH orders AS (SELECT 1 AS state) SELECT 1 FROM orders WHERE state = $1"

    assert column_uses(text, TABLES) == ()


def test_a_schema_chooses_the_table() -> None:
    (use,) = column_uses("SELECT 1 FROM archive.orders WHERE state = $1", TABLES)

    assert use.relation == OTHER


def test_order_and_group() -> None:
    uses = column_uses("SELECT state FROM orders ORDER BY made DESC, id NULLS FIRST", TABLES)

    assert [(use.column, use.descending, use.nulls_first) for use in uses] == [
        ("made", True, True),
        ("id", False, True),
    ]
    assert _roles("SELECT state FROM orders GROUP BY state") == {("orders", "state", "group")}


def test_an_order_over_two_tables_ends_where_the_second_begins() -> None:
    text = "SELECT 1 FROM users u JOIN orders o ON true ORDER BY u.made, o.id"

    assert _roles(text) == {("users", "made", "order")}


def test_an_order_by_an_alias_or_in_a_window_is_none() -> None:
    assert _roles("SELECT count(*) AS n FROM orders ORDER BY n") == set()
    assert _roles("SELECT rank() OVER (ORDER BY made) FROM orders") == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UPDATE users SET mail = $1 WHERE id = $2", {("users", "id", "equal")}),
        ("DELETE FROM orders WHERE user_id = $1", {("orders", "user_id", "equal")}),
        ("INSERT INTO users (id, mail) VALUES ($1,$2)", set()),
        (
            "DELETE FROM orders USING users WHERE orders.user_id = users.id",
            {("orders", "user_id", "join"), ("users", "id", "join")},
        ),
    ],
)
def test_writes(text: str, expected: set[tuple[str, str, str]]) -> None:
    assert _roles(text) == expected


@pytest.mark.parametrize("text", ["", "SELECT 1; SELECT 2", "SELEKT", "SELECT ((((", "\x00"])
def test_what_cannot_be_parsed_uses_nothing(text: str) -> None:
    assert column_uses(text, TABLES) == ()
