from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.unused_columns import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    (
        "select s.a from (select a, b from t) s",
        "SELECT s.a FROM (SELECT a FROM t) AS s",
    ),
    (
        "with x as (select a, b as c, d + 1 as e from t) select a, c from x",
        "WITH x AS (SELECT a, b AS c FROM t) SELECT a, c FROM x",
    ),
    (
        "with x as materialized (select a, b from t where b > $1) select a from x join y using (a)",
        "WITH x AS MATERIALIZED (SELECT a FROM t WHERE b > $1) SELECT a FROM x JOIN y USING (a)",
    ),
    (
        "select s.a from (select a, sum(b) as b, max(c) as c from t group by a) s where s.c > 3",
        "SELECT s.a FROM (SELECT a, max(c) AS c FROM t GROUP BY a) AS s WHERE s.c > 3",
    ),
    (
        "select s.n from (select count(*) as n, max(a) as m from t) s",
        "SELECT s.n FROM (SELECT count(*) AS n FROM t) AS s",
    ),
    (
        "select count(*) from (select a, b, c from t limit 10) s",
        "SELECT count(*) FROM (SELECT a FROM t LIMIT 10) AS s",
    ),
    (
        "select s.a from (select a, b, row_number() over (order by b) as n from t) s where s.n = 1",
        "SELECT s.a FROM (SELECT a, row_number() OVER (ORDER BY b) AS n FROM t) AS s WHERE s.n = 1",
    ),
    (
        "select s.a, q.b from (select a, b from t) s join (select a, b from u) q on q.a = s.a",
        "SELECT s.a, q.b FROM (SELECT a FROM t) AS s JOIN (SELECT a, b FROM u) AS q ON q.a = s.a",
    ),
    (
        "update t set a = s.a from (select a, id, note from u) s where s.id = t.id",
        "UPDATE t SET a = s.a FROM (SELECT a, id FROM u) AS s WHERE s.id = t.id",
    ),
]
PASSES = [
    "select s.a, s.b from (select a, b from t) s",
    "select * from (select a, b from t) s",
    "select s.* from (select a, b from t) s",
    "select s from (select a, b from t) s",
    "select row_to_json(s) from (select a, b from t) s",
    "select count(s) from (select a, b from t) s",
    "select (s).a from (select a, b from t) s",
    "select a from (select a, b from t) s where b > 3",
    "select s.a from (select a, b from t) s order by b",
    "select s.a from (select a, b from t) s natural join u",
    "select s.a from (select a, b from t) s join u using (b)",
    "select s.a from t join lateral (select a, b from u) s on s.b = t.b",
    "select s.x from (select a, b from t) s(x, y)",
    "select s.a from (select a from t) s",
    # Rows hang on all columns.
    "select s.a from (select distinct a, b from t) s",
    "select s.a from (select a, b from t union select a, b from u) s",
    "with x as (select a, b from t), y as (select a, b from x union all select a, b from x) "
    "select a, b from y",
    # Columns that make rows, or do something.
    "select s.a from (select a, unnest(b) as b from t) s",
    "select s.a from (select a, generate_series(1, 3) as b from t) s",
    "select s.a from (select a, nextval('q') as b from t) s",
    "select s.a from (select a, my_function(b) as b from t) s",
    "select s.a from (select a, jsonb_array_elements(b) as b from t) s",
    "select s.a from (select a, random() as b from t) s",
    "select 1 from (select 1 as a, count(*) as n from t) s where s.a = 1",
    # Numbers of columns.
    "select s.a from (select a, b from t order by 2) s",
    "select s.a from (select b, a, count(*) as n from t group by 1, 2) s",
    "select s.a from (select a, b as c from t order by c limit 3) s",
    # It cannot be told by name.
    "with x as (select a, b from t) select a from x q(c)",
    "select s.a from (select a, b from t) s where exists (select 1 from (select b) q)",
    "select s.a from (select a, b from t) s, lateral (select b) q",
    "select s.a from (select a, b from t) s where s.a = (with y as (select b) select b from y)",
    "select s.a from (select a, b from t order by b limit 3) s",
    "with x as (select a, b from t) select 1 from (with x as (select a, b from u) select a from x)",
    "with recursive x as (select 1 as a, 2 as b union all select a + 1, b from x) select a from x",
    "with x as (insert into t values (1, 2) returning a, b) select a from x",
    "with x as (select a, b from t) select 1",
    "insert into t select a, b from (select a, b from u) s",
    "select s.a from (select a, a, b from t) s",
    "with x as (select a, b from t) update u set a = x.a from x where x.a = u.a returning *",
    "merge into t using (select a, b from u) s on s.a = t.a when matched then update set a = s.a",
]


@pytest.mark.parametrize(("text", "rewrite"), FIRES)
def test_fires(text: str, rewrite: str) -> None:
    assert [rewrite.lower()] == [found.lower() for found in rewrites(RULE, text)]


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


def test_a_schema_tells_what_a_star_gives() -> None:
    text = "with x as (select * from users u where active) select email from x order by name"
    assert [] == matches(RULE, text)
    (found,) = matches(RULE, text, SAMPLE)
    assert (
        "x gives columns that nobody reads: id, country, created_at, score, active."
        == found.message
    )
    assert (
        "WITH x AS (SELECT email, name FROM users AS u WHERE active) "
        "SELECT email FROM x ORDER BY name" == found.rewrite
    )


@pytest.mark.parametrize(
    "keys", ["1, 2", "rollup (1, 2)", "cube ((2), 1)", "grouping sets ((1), (2), ())", "a, (2)"]
)
def test_what_a_number_names_stays(keys: str) -> None:
    text = f"select s.n from (select a, b, count(*) as n from t group by {keys}) s"
    assert [] == matches(RULE, text)


def test_a_number_in_an_expression_names_nothing() -> None:
    text = (
        "select s.n from (select max(c) as c, count(*) as n from t group by b + 1 order by b + 1) s"
    )
    assert 1 == len(rewrites(RULE, text))


def test_one_rewrite_leaves_out_everything() -> None:
    text = "select s.a, q.a from (select a, b from t) s join (select a, b from u) q on q.a = s.a"
    one, other = rewrites(RULE, text)
    assert one == other
    assert "b" not in one.split()


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("with x as (select a, b from t) select a from x", None),
        ("with x as materialized (select a, b from t) select a from x", Severity.WARNING),
        (
            "with x as (select a, b from t) select x.a from x join x y on y.a = x.a",
            Severity.WARNING,
        ),
        (
            "with x as not materialized (select a, b from t) select x.a from x join x y on true",
            None,
        ),
        ("select s.a from (select a, b from t) s", None),
    ],
)
def test_it_matters_where_the_rows_are_stored(text: str, severity: Severity | None) -> None:
    (found,) = matches(RULE, text)
    assert severity is found.severity
