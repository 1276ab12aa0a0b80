from __future__ import annotations

import pytest

from dbopt.sql.features import features
from dbopt.sql.parse import parse, split


def counts(text: str) -> dict[str, int]:
    tree = parse(split(text)[0])
    assert tree is not None
    found: dict[str, int] = {}
    for counted in features(tree).counts.values():
        for name, count in counted.items():
            found[name] = found.get(name, 0) + count
    return found


def test_features_are_counted_in_their_block() -> None:
    tree = parse(split("select a, (select max(b) from u) from t where c = 1")[0])
    assert tree is not None
    found = features(tree)
    outer, inner = found.blocks
    assert 2 == found.deepest
    assert {"field": 2} == dict(found.counts[outer])
    assert {"aggregate": 1, "field": 1, "scan": 1, "no_where": 1, "subquery": 1} == dict(
        found.counts[inner]
    )


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("select a, b from t where c = 1", "field", 2),
        ("insert into t (a, b) select 1, 2", "field", 4),
        ("update t set a = 1, b = 2 where c = 1", "field", 2),
        ("select sum(a), count(*) filter (where b), max(c) over () from t", "aggregate", 3),
        ("with a as (select 1), b as (select 2) select 3", "cte", 2),
        ("select 1 union select 2 intersect select 3", "set_operation", 2),
        ("select 1 from a, b, c, d, e, f", "cross_join", 5),
        ("select 1 from a, b, c, d, e, f", "many_joins", 2),
        ("select 1 from a, b, c", "scanned_table", 2),
        (f"select 1 from t where a in ({', '.join('1' * 500)})", "long_list", 4),
        ("select 1 from t where (a = 1 or b = 1) and (c = 1 or (d = 1 or e = 1))", "or_columns", 2),
        ("select 1 from t where a not in (1) and b <> 2", "negation", 2),
        ("select 1 from t where not exists (select * from u)", "star", 0),
        ("select count(*) from t", "star", 0),
        ("select a from t where b = 1 having max(lower(c)) > 'x'", "function", 0),
        ("select lower(a) = 'x' from t where b = 1", "function", 0),
        ("select 1 from t join u on lower(t.a) = upper(u.a)", "function", 1),
        ("select 1 from t limit 5", "scan", 0),
        ("select 1 from t order by a limit 5", "scan", 1),
        ("select count(*) from t limit 5", "scan", 1),
        ("select a from t where b = 1 union select c from u", "unbounded", 0),
        ("insert into t select a from u", "unbounded", 0),
        ("select 1 from t where a in (select b from u where u.c = t.c)", "exists_subquery", 1),
        ("select 1 from (select 1 from t) x", "subquery", 1),
        ("create table x as select a from t", "subquery", 0),
    ],
)
def test_counts(text: str, name: str, count: int) -> None:
    assert count == counts(text).get(name, 0)
