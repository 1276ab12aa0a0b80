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
