from __future__ import annotations

import pytest

from dbopt.sql.columns import ColumnUse, Role, column_uses, uses_of_tree
from dbopt.sql.parse import parse, split
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation

USERS, ORDERS = Relation("public", "users"), Relation("public", "orders")
OTHER = Relation("archive", "orders")
TABLES = {
    USERS: {"id", "mail", "active", "made"},
    ORDERS: {"id", "user_id", "state", "made", "tags", "Odd"},
    OTHER: {"id", "state"},
}


def _roles(text: str) -> set[tuple[str, str, str]]:
    """What an index could serve."""
    uses = [use for use in column_uses(text, TABLES) if use.role is not Role.PROJECT]
    return {(use.relation.name, use.column, use.role.value) for use in uses}


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

    sorts = [use for use in uses if use.role is Role.ORDER]
    assert [(use.column, use.descending, use.nulls_first) for use in sorts] == [
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


def _shown(text: str) -> list[str]:
    uses = column_uses(text, TABLES)
    return [f"{use.relation.name}.{use.column}" for use in uses if use.role is Role.PROJECT]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT mail, id + 1 FROM users WHERE active", "users.mail users.id"),
        ("SELECT count(o.state) FROM orders o GROUP BY made", "orders.state"),
        ("SELECT u.* FROM users u, orders", "users.active users.id users.made users.mail"),
        ("SELECT count(*) FROM users", ""),
        ("SELECT 1 FROM users WHERE id = (SELECT user_id FROM orders)", "orders.user_id"),
        ("UPDATE users SET mail = made WHERE id = 1 RETURNING mail", "users.mail"),
        ("DELETE FROM orders RETURNING id, state", "orders.id orders.state"),
        ("SELECT (SELECT max(made) FROM orders WHERE user_id = u.id) FROM users u", "orders.made"),
    ],
)
def test_what_is_shown(text: str, expected: str) -> None:
    assert sorted(expected.split()) == sorted(_shown(text))


def _by_text(text: str, schema: Schema | None = None) -> set[str]:
    tree = parse(split(text)[0])
    assert tree is not None
    return {f"{use.relation}.{use.column} {use.role}" for use in uses_of_tree(tree, schema)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM t WHERE b = 1 AND c > 2", "t.a project, t.b equal, t.c range"),
        ("SELECT x.a FROM s.t x, u WHERE x.b = 1 AND c = 2", "s.t.a project, s.t.b equal"),
        ("SELECT * FROM t ORDER BY a", "t.a order"),
        ("SELECT count(*) n FROM t GROUP BY a ORDER BY n", "t.a group"),
        ("SELECT a FROM t JOIN u ON t.x = u.y", "t.x join, u.y join"),
        ("SELECT 1 FROM t JOIN u USING (x)", "t.x join, u.x join"),
        ("SELECT 1 FROM t JOIN u USING (x) JOIN v USING (y)", ""),
        ("WITH c AS (SELECT a FROM t WHERE b = 1) SELECT a FROM c", "t.a project, t.b equal"),
        ("SELECT a FROM (SELECT a FROM t WHERE b = 1) q, u", "t.a project, t.b equal"),
        ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.x = t.y AND z = 1)",
         "u.x join, t.y join"),
        ("SELECT a FROM t, generate_series(1, 3) g", ""),
        ("SELECT a FROM t x (a, b)", ""),
        ("SELECT t, (t).a FROM t WHERE t = b", "t.b join"),
        ("SELECT a FROM t WHERE b IS NORMALIZED", "t.a project, t.b equal"),
        ("UPDATE t SET a = 1 WHERE b = 2 RETURNING c", "t.b equal, t.c project"),
        ("DELETE FROM t USING u WHERE t.a = u.b AND t.c = 1", "t.a join, u.b join, t.c equal"),
        ("INSERT INTO t (a) SELECT b FROM u WHERE c = 1", "u.b project, u.c equal"),
    ],
)  # fmt: skip
def test_without_a_schema_as_far_as_the_text_tells(text: str, expected: str) -> None:
    assert {one for one in expected.split(", ") if one} == _by_text(text)


def _known(relation: Relation, *columns: str) -> SchemaRelation:
    return SchemaRelation(relation, columns={name: SchemaColumn(name, "int") for name in columns})


SCHEMA = Schema(
    {
        relation: _known(relation, *columns)
        for relation, columns in {
            Relation("public", "t"): ("a", "b"),
            Relation("app", "t"): ("a", "z"),
            Relation("public", "u"): ("c", "d"),
        }.items()
    },
    search_path=("app", "public"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM t, u WHERE z = d", "app.t.a p, app.t.z join, public.u.d join"),
        ("SELECT b FROM t WHERE z = 1", "app.t.z equal"),
        ("SELECT * FROM public.t", "public.t.a p, public.t.b p"),
        ("SELECT a FROM t, unknown WHERE unknown.x = 1", "unknown.x equal"),
        ("SELECT 1 FROM t WHERE z IN (SELECT c FROM u WHERE d = a)",
         "app.t.z equal, public.u.c p, public.u.d join, app.t.a join"),
    ],
)  # fmt: skip
def test_with_a_schema_names_are_looked_up(text: str, expected: str) -> None:
    wanted = {one.replace(" p", " project") if one.endswith(" p") else one
              for one in expected.split(", ")}  # fmt: skip
    assert wanted == _by_text(text, SCHEMA)
