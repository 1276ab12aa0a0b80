from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.union_for_union_all import RULE
from tests.unit.sql.rules.asking import matches, rewrites
from tests.unit.sql.rules.sample import SAMPLE


@pytest.mark.parametrize(
    "sql",
    [
        "select 'a', count(*) from t union select 'b', max(x) from u",
        "select 1 union select 2 union select 3 order by 1",
        "select 1 from t where a in (select b from u union select c from v)",
        "select 1 from t where a not in (select b from u union select c from v)",
        "select 1 from t where exists (select b from u union select c from v)",
        "select 1 from t where a = any (select b from u union select c from v)",
    ],
)
def test_proven_without_a_schema(sql: str) -> None:
    (match,) = matches(RULE, sql)

    assert Severity.WARNING is match.severity
    assert "UNION ALL" in match.rewrite
    assert "UNION " not in match.rewrite.replace("UNION ALL ", "")


@pytest.mark.parametrize(
    "sql",
    [
        "select 'a', id from users union select 'b', id from orders",
        "select 'a', id from users union select distinct 'b', user_id from orders",
        "select 'a', status from orders group by status union select 'b', note from orders "
        "group by note",
        "select id, name from users where score = 1 union select id, email from users "
        "where score = 2 and active",
        "select 1, order_id, position from items union select 2, order_id, position from items",
    ],
)
def test_proven_by_the_schema(sql: str) -> None:
    assert [] == rewrites(RULE, sql)
    assert 1 == len(rewrites(RULE, sql, SAMPLE))


@pytest.mark.parametrize(
    "sql",
    [
        "select name from users union select note from orders",
        "select 'a', name from users union select 'b', note from orders",
        "select 'a', id from users union select 'a', id from orders",
        "select 1, id from users union select 1.0, id from orders",
        # The narrower type's keys may be one value in the wider type.
        "select 'a', id from users union select 'b', total from orders",
        "select 'a', id from users union select 'b', random() from orders",
        # Half a key, a set-returning function, and conditions that do not part the rows.
        "select 1, order_id from items union select 2, order_id from items",
        "select 1, generate_series(1, 3) union select 2, generate_series(1, 3)",
        "select id from users where score = 1 union select id from users where score = 1",
        "select id from users where score > 1 union select id from users where score = 2",
        "select id from users where name = 'a' union select id from users where name = 'A'",
        "select id from users where score = 1 union select id from orders where quantity = 2",
        "select id, score from users where score = 1 union select score, id from users "
        "where score = 2",
        "select 'a', id from users join orders using (id) union select 'b', id from orders",
        "select 'a', id from (select * from users) x union select 'b', id from orders",
        "select 1 union select 2 union select 1",
        "select 1 union (select 2 union all select 2)",
        # 'a' and 10, spelled in another way.
        "select 'a', id from users union select E'\\x61', id from users",
        "select 'a', id from users union select U&'\\0061', id from users",
        "select 10, id from users union select 1_0, id from users",
        "select a from t where b in (select c from u union select d from v limit 3)",
    ],
)
def test_not_proven(sql: str) -> None:
    (match,) = matches(RULE, sql, SAMPLE)

    assert match.severity is None
    assert RULE.severity is Severity.INFO
    assert "" == match.rewrite


@pytest.mark.parametrize(
    "sql",
    [
        "select a from t union all select b from u",
        "select a from t intersect select b from u",
        "select a from t except select b from u",
        "with recursive r as (select 1 as n union select n + 1 from r) select * from r",
        "with recursive r as ((select 1 as n union select n + 1 from r)) select * from r",
        "select 'union'",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql, SAMPLE)


def test_a_chain_is_one_finding() -> None:
    assert 1 == len(matches(RULE, "select a from t union select b from u union select c from v"))


def test_a_part_with_its_own_limit_ends_the_chain() -> None:
    sql = "(select 1 union select 2 limit 1) union select 3"

    assert all("LIMIT 1" in rewrite for rewrite in rewrites(RULE, sql))
