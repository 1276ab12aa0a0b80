from __future__ import annotations

import pytest

from dbopt.sql.classify import judge
from dbopt.sql.complexity import WEIGHTS, complexity, grade

FLAT = "select a from t where b = 1 limit 1"

ADDS = [
    ("select a, b from t where b = 1 limit 1", {"field"}),
    ("select a from t join u on t.x = u.x where b = 1 limit 1", {"join"}),
    ("select a from t, u where t.x = u.x and b = 1 limit 1", {"join"}),
    ("select a from t left join u on t.x = u.x where b = 1 limit 1", {"outer join"}),
    ("select a from t cross join u where b = 1 limit 1", {"cross join"}),
    ("select a from t, u where b = 1 limit 1", {"cross join"}),
    ("select a from t join u on true where b = 1 limit 1", {"cross join"}),
    (
        "select a from t join u using (a) join v using (a) join w using (a) join x using (a)"
        " where b = 1 limit 1",
        {"join", "many joins"},
    ),
    ("select a from t, unnest(x) y where b = 1 limit 1", {"lateral join"}),
    ("select a from t where b = 1 and c in (select 1) limit 1", {"field", "depth", "subquery"}),
    (
        "select a from t where b = 1 and exists (select u.x from u where u.x = t.x) limit 1",
        {"field", "depth", "correlated subquery"},
    ),
    ("with x as (select 1) select a from t where b = 1 limit 1", {"field", "depth", "cte"}),
    (
        "with recursive x as (select 1) select a from t where b = 1 limit 1",
        {"field", "depth", "cte", "recursive"},
    ),
    ("select a from t where b = 1 limit 1 union select 1", {"field", "set operation"}),
    ("select max(a) from t where b = 1 limit 1", {"aggregate"}),
    ("select row_number() over () from t where b = 1 limit 1", {"window"}),
    ("select distinct a from t where b = 1 limit 1", {"distinct"}),
    ("select a from t where b = 1 order by a", {"sort"}),
    ("select a from t where b = 1 and (c = 1 or d = 2) limit 1", {"or"}),
    ("select a from t where b like '%x' limit 1", {"wildcard"}),
    ("select a from t where lower(b) = 'x' limit 1", {"function"}),
    ("select a from t where b::date = 'x' limit 1", {"function"}),
    ("select a from t", {"no where", "unbounded"}),
    ("select a from t where b > 1", {"unbounded"}),
    (f"select a from t where b in ({', '.join('1' * 40)}) limit 1", {"long list"}),
    ("select * from t where b = 1 limit 1", {"star"}),
]


def points(text: str) -> dict[str, int]:
    names = {words: name for name, (_, words) in WEIGHTS.items()}
    return {
        names[reason.what.split(" x ", 1)[-1]]: reason.points for reason in complexity(text).reasons
    }


@pytest.mark.parametrize(("text", "added"), ADDS)
def test_each_thing_costs(text: str, added: set[str]) -> None:
    base, found = points(FLAT), points(text)
    assert added == {name for name in found if found[name] > base.get(name, 0)}
    assert complexity(text).score > complexity(FLAT).score


@pytest.mark.parametrize(
    "text",
    [
        "select a from t where b = 1 or b = 2 limit 1",
        "select a from t where b like 'x%' limit 1",
        "select a from t where b = lower('x') limit 1",
        "select a from t where b = any($1) limit 1",
        "select a from t where b = 1",
        "select a from t where b in (1, 2, 3) limit 1",
    ],
)
def test_what_costs_nothing(text: str) -> None:
    assert complexity(FLAT) == complexity(text)


def test_a_cte_is_no_whole_table() -> None:
    assert "no where" not in points("with x as (select a from t where b = 1) select a from x")
    assert "no where" in points("with x as (select a from t where b = 1) select a from s.x")


# From PostgreSQL's primary-key lookup to TPC-H 2: each is dearer than the one before.
IN_ORDER = [
    "select id, email, name from users where id = $1",
    "select * from users where id = $1",
    "select u.name, p.score from users u join progress p on p.user_id = u.id where u.id = $1"
    " order by p.score limit 10",
    "select count(*) from users",
    "select id, email from users",
    "select * from users",
    "select s, count(*) from users where e like '%x' group by s order by 2",
    "select n.name, sum(l.price) from customer c join orders o on c.id = o.c join line l on l.o ="
    " o.id join supplier s on s.id = l.s join nation n on n.id = s.n join region r on r.id = n.r"
    " where r.name = 'ASIA' group by n.name order by 2 desc",
    "select u.id, p.score, p.x from users u cross join progress p order by p.score",
    "select s_acctbal, s_name from part, supplier, partsupp, nation, region where p_partkey ="
    " ps_partkey and s_suppkey = ps_suppkey and p_size = 15 and p_type like '%BRASS' and"
    " s_nationkey = n_nationkey and n_regionkey = r_regionkey and ps_supplycost = (select"
    " min(ps_supplycost) from partsupp, supplier, nation, region where p_partkey = ps_partkey and"
    " s_suppkey = ps_suppkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey)"
    " order by s_acctbal desc limit 100",
]


def test_scores_are_in_a_sensible_order() -> None:
    found = [complexity(text) for text in IN_ORDER]
    assert found == sorted(found, key=lambda one: one.score)
    assert [13, 15] == [one.score for one in found[:2]]
    grades = ["simple"] * 4 + ["moderate"] * 3 + ["complex"] * 3
    assert grades == [one.grade for one in found]


def test_the_seeds_rule_is_the_base() -> None:
    """Fields + 10 for each level."""
    assert 3 + 10 == complexity("select a, b, c from t where b = 1").score


@pytest.mark.parametrize("text", [text for text, _ in ADDS])
def test_reasons_sum_to_the_score_largest_first(text: str) -> None:
    found = complexity(text)
    every = [reason.points for reason in found.reasons]
    assert found.score == sum(every)
    assert sorted(every, reverse=True) == every


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0, "simple"),
        (24, "simple"),
        (25, "moderate"),
        (49, "moderate"),
        (50, "complex"),
        (100, "complex"),
        (101, "extreme"),
    ],
)
def test_grades(score: int, expected: str) -> None:
    assert expected == grade(score)


def test_the_limit_scales_the_grades() -> None:
    assert "extreme" == complexity("select a, b from t where b = 1", limit=11).grade


def test_a_write_of_a_whole_table_is_dear() -> None:
    assert "complex" == complexity("delete from t").grade
    assert "simple" == complexity("delete from t where id = 1").grade


def test_statements_that_run_together_add_up() -> None:
    assert 2 * complexity(FLAT).score == complexity(f"{FLAT}; {FLAT}").score


@pytest.mark.parametrize("text", ["begin", "set x = 1", "vacuum t", "create index i on t (a)", ""])
def test_what_is_no_query_scores_nothing(text: str) -> None:
    assert (0, "simple", ()) == (
        complexity(text).score,
        complexity(text).grade,
        complexity(text).reasons,
    )


def test_unparsed_text_gets_an_estimate_that_says_so() -> None:
    found = complexity("select )( from a join b union select 1 order by (select 1 where x or y")
    assert {
        "unparsed",
        "depth",
        "join",
        "set operation",
        "sort",
        "or",
        "correlated subquery",
    } == set(points("select )( from a join b union select 1 order by (select 1 where x or y"))
    assert found.score > complexity("select 1").score


def test_a_tree_may_be_given() -> None:
    [judged] = judge(FLAT)
    assert judged.tree is not None
    assert complexity(FLAT) == complexity(judged.tree)
